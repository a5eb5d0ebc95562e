"""What campaigns cost while they run: how soon they begin, what a row costs to feed, and who waits for them.

A campaign begins with as many rows as given, and the time to its first claim is taken; a window of jobs is fed and
settled again and again, beside a loop that inserts a row, commits and calls ``delay()`` for each; urgent jobs are
ordered one by one on an idle press and beside a campaign; and two owners' campaigns are started at once.

Usage: ``python -m tests.bench.campaigns.run [--rows 100000] [--people 10000] [--urgent 20] [--share 300]
[--databases sqlite,postgresql]``
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from uuid import UUID

from sqlalchemy import func, select

from common.clock import utcnow
from common.tables import Attempt, Job
from tests.bench import plots
from tests.bench.campaigns import feeding as campaign_feeding
from tests.bench.outcome import FOLDER, Outcome, Table
from tests.functional.backends import Embedded
from tests.functional.stack import QUICK, Client, Stack, running
from tests.support.campaigns.runs import Run
from tests.support.waiting import until

LOOKS = {"model": "painted", "width": 64, "height": 64, "steps": 4}
SETTINGS = QUICK | {"PRESSROOM_LEASE_SECONDS": "60", "PRESSROOM_BEAT_SECONDS": "1", "PRESSROOM_TICK_SECONDS": "0.5"}
HOUR = 3600.0


@dataclass(frozen=True)
class Waits:
    """How long urgent jobs waited for their claim, in seconds, and how long one took from its claim to its end."""

    idle: float
    beside: float
    job: float


def main(words: list[str] | None = None) -> None:
    """Measure, print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="that are ready when the first claim is timed")
    parser.add_argument("--people", type=int, default=10_000, help="of the campaign beside which urgent jobs wait")
    parser.add_argument("--urgent", type=int, default=20, help="urgent jobs")
    parser.add_argument("--share", type=int, default=300, help="recipients of each of two campaigns at once")
    parser.add_argument("--windows", type=int, default=10, help="windows of jobs that are fed and settled")
    parser.add_argument("--databases", default="sqlite,postgresql", help="on which feeding is measured")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    feeding = {kind: campaign_feeding.measure(kind, given.windows) for kind in given.databases.split(",")}
    with _stack() as stack:
        first = _time_first_claim(stack, given.rows)
        waits = _time_urgent(stack, given.people, given.urgent)
        ends = _time_two(stack, given.share)
    tables = [campaign_feeding.tabulate(feeding), _tabulate(given.rows, first, waits), _tabulate_two(ends)]
    figures = {
        "feeding": {kind: asdict(cost) for kind, cost in feeding.items()},
        "first_claim_seconds": first,
        "waits": asdict(waits),
        "ends": ends,
    }
    options = {key: value for key, value in vars(given).items() if key != "out"}
    notes = ["The stack is the embedded one, with one painted press; times of claims are the database's own."]
    Outcome("campaign_run", options, tables, figures, notes).write(given.out, lambda path: _draw(path, waits))


@contextmanager
def _stack() -> Iterator[Stack]:
    with running(Embedded(), presses=1, settings=SETTINGS | {"PRESSROOM_MAX_RECIPIENTS": "1000000"}) as stack:
        yield stack


def _time_first_claim(stack: Stack, rows: int) -> float:
    """Return the seconds from the order to start a campaign to the first claim of a job of it."""
    run = Run(stack.client("first"), rows, waits=True, defaults=LOOKS)
    began = utcnow()
    run.do("start")
    claimed = until(lambda: _first_claim(stack, run), "the first claim", HOUR)
    run.do("cancel")
    return (claimed - began).total_seconds() if claimed is not None else HOUR


def _first_claim(stack: Stack, run: Run) -> datetime | None:
    with stack.database.reading() as session:
        started = select(func.min(Attempt.started_at)).join(Job, Job.id == Attempt.job_id)
        return session.scalar(started.where(Job.campaign_id == UUID(run.id)))


def _time_urgent(stack: Stack, people: int, urgent: int) -> Waits:
    client = stack.client("urgent")
    idle = [_order(stack, client) for _ in range(urgent)]
    run = Run(stack.client("campaign"), people, defaults=LOOKS)
    until(lambda: run.printed, "the campaign to print", HOUR)
    beside = [_order(stack, client) for _ in range(urgent)]
    run.do("cancel")
    until(lambda: not run.look()["progress"]["prints"]["ordered"], "what was in hand", HOUR)
    return Waits(median(wait for wait, _ in idle), median(wait for wait, _ in beside), median(took for _, took in idle))


def _order(stack: Stack, client: Client) -> tuple[float, float]:
    """Order an urgent job; return how long it waited for its claim, and how long it took after that."""
    job_id = client.order(steps=LOOKS["steps"])
    client.wait(job_id)
    (row,) = stack.rows(job_id)
    if row.started_at is None or row.finished_at is None:
        raise RuntimeError(f"the job ended as {row.status}")
    return (row.started_at - row.created_at).total_seconds(), (row.finished_at - row.started_at).total_seconds()


def _time_two(stack: Stack, share: int) -> dict[str, float]:
    """Return when each of two owners' campaigns that start at once is done, in seconds."""
    runs = {owner: Run(stack.client(owner), share, waits=True, defaults=LOOKS) for owner in ("ada", "eve")}
    began = time.monotonic()
    for run in runs.values():
        run.do("start")
    ends: dict[str, float] = {}

    def look() -> bool:
        for owner, run in runs.items():
            if owner not in ends and run.look()["status"] == "completed":
                ends[owner] = time.monotonic() - began
        return len(ends) == len(runs)

    until(look, "two campaigns to end", HOUR)
    return ends


def _tabulate(rows: int, first: float, waits: Waits) -> Table:
    shown = [
        [f"from the start to the first claim, {rows:,} rows ready", f"{first:.2f}"],
        ["an urgent job's wait for its claim, idle press, median", f"{waits.idle:.3f}"],
        ["the same beside a campaign", f"{waits.beside:.3f}"],
        ["one job, from its claim to its end", f"{waits.job:.3f}"],
    ]
    return Table("Who waits for whom", ["", "seconds"], shown)


def _tabulate_two(ends: dict[str, float]) -> Table:
    apart = (max(ends.values()) - min(ends.values())) / min(ends.values())
    rows = [[owner, f"{seconds:.1f}"] for owner, seconds in ends.items()]
    return Table("Two owners' campaigns that start at once", ["", "seconds"], [*rows, ["apart", f"{apart:.1%}"]])


def _draw(path: Path, waits: Waits) -> None:
    with plots.sheet(path, 1, "An urgent job's wait") as panels:
        shown = {"idle press": waits.idle, "beside a campaign": waits.beside, "one job": waits.job}
        plots.draw_bars(panels[0], shown, "seconds", "beside")


if __name__ == "__main__":
    main()
