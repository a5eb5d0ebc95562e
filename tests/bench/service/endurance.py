"""Many mixed jobs through one press on tiny models: all end right, and nothing of them stays behind.

Six lanes, two models, two classes; 5 % are cancelled and 2 % have a deadline that passes. The press is a real one
(claims, leases, uploads, settlements) in this process, so that its memory, threads and files can be counted.

Usage:
``python -m tests.bench.service.endurance [--jobs 1000] [--database-url URL]``; exit status 1 if something is wrong.
"""

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import torch
from sqlalchemy import func, select

from common import logs
from common.db import schema
from common.db.engine import Database
from common.errors import IllegalTransitionError
from common.jobs import lifecycle
from common.settings import Settings
from common.states.jobs import TERMINAL, JobStatus, Priority
from common.storage import open_storage
from common.tables import Job
from tests.support import factories
from tests.support.engine import tiny_pipelines
from tests.support.press_fixture import PressFixture
from worker.engine.factory import open_engine
from worker.press import runner
from worker.press.press import Press

MODELS = ("sd15", "sdxl")
LANES: tuple[dict[str, Any], ...] = (
    {"model": "sd15", "width": 32, "height": 32, "guidance_scale": 5.0},
    {"model": "sd15", "width": 32, "height": 32, "guidance_scale": 1.0},
    {"model": "sd15", "width": 64, "height": 32, "guidance_scale": 5.0},
    {"model": "sd15", "width": 64, "height": 64, "guidance_scale": 1.0},
    {"model": "sdxl", "width": 32, "height": 32, "guidance_scale": 5.0},
    {"model": "sdxl", "width": 32, "height": 32, "guidance_scale": 1.0},
)
CANCELED, LATE = 0.05, 0.02
"""Shares of the jobs that are cancelled, and that get a deadline which can hardly be met."""

DEADLINE_SECONDS = 0.3
QUEUED_AT_ONCE = 40
LOOK_SECONDS = 0.05
WARM_UP = 10
SAMPLE_EVERY = 100
GROWTH = 1.05
"""The resident memory after the last job may be so many times what it was after job 100."""


@dataclass(frozen=True)
class Count:
    """What a process holds."""

    rss_bytes: int
    threads: int
    files: int

    @classmethod
    def now(cls) -> "Count":
        process = psutil.Process()
        return cls(process.memory_info().rss, threading.active_count(), process.num_fds())


@dataclass
class Report:
    """What came of a run."""

    wanted: dict[UUID, str] = field(default_factory=dict)  # job → printed, cancelled or late
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    rss: dict[int, int] = field(default_factory=dict)  # by jobs ended
    waits: dict[Priority, list[float]] = field(default_factory=dict)
    before: Count | None = None
    after: Count | None = None

    def as_text(self) -> str:
        lines = [f"{len(self.wanted)} jobs in {self.seconds:.0f} s"]
        lines += [f"{wanted}: {number} {status}" for (wanted, status), number in sorted(self.ended.items())]
        for priority, waits in self.waits.items():
            lines.append(f"{priority}: median {statistics.median(waits):.2f} s, longest {max(waits):.2f} s to the end")
        lines.append(
            "resident memory: " + ", ".join(f"{rss / 1e6:.1f} MB after job {n}" for n, rss in self.rss.items())
        )
        lines.append(
            f"threads {self.before.threads} → {self.after.threads}, files {self.before.files} → {self.after.files}"
        )
        return "\n".join([*lines, *(f"WRONG: {what}" for what in self.wrong)])


def main(words: list[str] | None = None) -> int:
    """Run, print a report, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database-url", help="of an empty database; by default SQLite in a temporary folder")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        logs.configure_logging(Settings(log_level="ERROR"), "endurance")
        with open_press_fixture(Path(folder), given.database_url) as press_fixture:
            report = endure(press_fixture, given.jobs, random.Random(given.seed))
    print(report.as_text())
    return 1 if report.wrong else 0


@contextmanager
def open_press_fixture(folder: Path, database_url: str | None = None) -> Iterator[PressFixture]:
    """Build the models in *folder* and open a house there."""
    torch.set_num_threads(1)  # spinning threads cost such small networks more than they bring
    models = [tiny_pipelines.save(name, folder / name) for name in MODELS]
    settings = Settings(
        home=folder / "home",
        models=tuple(str(model) for model in models),
        device="cpu",
        max_batch=8,
        beat_seconds=0.1,
        storage_url=f"file:{folder / 'images'}",
        database_url=database_url or f"sqlite:///{folder / 'pressroom.db'}",
    )
    database = Database(settings.sqlalchemy_url)
    schema.upgrade_schema(database)
    yield PressFixture(database, open_storage(settings), settings)
    database.close()


def endure(press_fixture: PressFixture, number: int, dice: random.Random) -> Report:
    """Order *number* jobs of *house* and see them to their ends; the first press only warms up the process."""
    with at_work(press_fixture):
        for _ in range(WARM_UP):
            order(press_fixture, dice, "printed")
        while count_ended(press_fixture) < WARM_UP:
            time.sleep(LOOK_SECONDS)
    report = Report(before=Count.now())
    began = time.monotonic()
    with at_work(press_fixture):
        drive(press_fixture, number, dice, report)
    report.seconds = time.monotonic() - began
    report.after = Count.now()
    judge(press_fixture, report)
    return report


@contextmanager
def at_work(press_fixture: PressFixture) -> Iterator[Press]:
    """Open a press with as many threads as it wants, all of them listening."""
    done = threading.Event()
    with press_fixture.press(engine=lambda painted: open_engine(press_fixture.settings, painted._meter)) as press:

        def listen() -> None:
            while not done.is_set():
                runner.run_next_job(press)
                done.wait(LOOK_SECONDS)

        threads = [threading.Thread(target=listen, name=f"hear-{place}") for place in range(press.threads)]
        for thread in threads:
            thread.start()
        try:
            yield press
        finally:
            done.set()
            for thread in threads:
                thread.join()


def drive(press_fixture: PressFixture, number: int, dice: random.Random, report: Report) -> None:
    """Keep the queue filled until all jobs are ordered, cancel some of them on the way, and play the clerk."""
    fates = ["cancelled"] * round(CANCELED * number) + ["late"] * round(LATE * number)
    fates += ["printed"] * (number - len(fates))
    dice.shuffle(fates)
    while True:
        ended = count_ended(press_fixture) - WARM_UP
        if ended >= SAMPLE_EVERY * (len(report.rss) + 1) or ended == number:
            report.rss[ended] = Count.now().rss_bytes
        if ended == number:
            return
        while fates and len(report.wanted) - ended < QUEUED_AT_ONCE:
            fate = fates.pop()
            report.wanted[order(press_fixture, dice, fate)] = fate
        cancel_some(press_fixture, dice, report)
        with press_fixture.database.transaction() as session:
            lifecycle.expire_due_jobs(session)
        time.sleep(LOOK_SECONDS)


def order(press_fixture: PressFixture, dice: random.Random, fate: str) -> UUID:
    """Queue one job of a random lane."""
    steps, images = dice.randint(2, 8), dice.choice((1, 1, 1, 2, 3))
    request = {**dice.choice(LANES), "steps": steps, "num_images": images, "seed": dice.randrange(2**32)}
    priority = dice.choice(list(Priority))
    deadline = DEADLINE_SECONDS if fate == "late" else None
    job = factories.submit(
        press_fixture.database, dice.choice("ab"), request=request, priority=priority, deadline_seconds=deadline
    )
    return job.id


def cancel_some(press_fixture: PressFixture, dice: random.Random, report: Report) -> None:
    """Cancel a few of those that are to be cancelled, whether they wait or run."""
    with press_fixture.database.transaction() as session:
        open_ones = session.scalars(select(Job).where(Job.status.not_in(TERMINAL))).all()
        for job in open_ones:
            if report.wanted.get(job.id) == "cancelled" and (job.status is JobStatus.RUNNING or dice.random() < 0.1):
                try:
                    lifecycle.cancel_job(session, job)
                except IllegalTransitionError:
                    continue  # it was faster


def count_ended(press_fixture: PressFixture) -> int:
    """Return how many jobs have ended, those of the warm-up among them."""
    with press_fixture.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Job).where(Job.status.in_(TERMINAL))) or 0


ALLOWED = {
    "printed": {JobStatus.SUCCEEDED},
    "cancelled": {JobStatus.CANCELED, JobStatus.SUCCEEDED},  # some are done before it is said
    "late": {JobStatus.EXPIRED, JobStatus.SUCCEEDED},  # likewise
}


def judge(press_fixture: PressFixture, report: Report) -> None:
    """Fill in what became of the jobs, and all that is wrong."""
    with press_fixture.database.reading() as session:
        for job in session.scalars(select(Job)):
            if job.id not in report.wanted:  # of the warm-up
                continue
            fate = report.wanted[job.id]
            report.ended[fate, job.status] += 1
            report.waits.setdefault(job.priority, []).append((job.finished_at - job.created_at) / timedelta(seconds=1))
            if job.status not in ALLOWED[fate]:
                report.wrong.append(f"{job.id} was to be {fate} and is {job.status} ({job.error_code})")
    try:
        press_fixture.check()
    except AssertionError as error:
        report.wrong.append(f"the books: {error}")
    if (report.before.threads, report.before.files) != (report.after.threads, report.after.files):
        report.wrong.append(f"threads or files stayed: {report.before}, then {report.after}")
    sizes = list(report.rss.values())
    if sizes[-1] > GROWTH * sizes[0]:
        report.wrong.append("the memory grew")


if __name__ == "__main__":
    sys.exit(main())
