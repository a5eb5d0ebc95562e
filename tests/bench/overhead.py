"""What the service costs: images per second through all of Pressroom ÷ a bare pipeline loop, on the same model.

Everything is on: HTTP, queue, claim, safety check, PNG, marking, thumbnail, storage, database. The contestants take
turns, in an order that changes from round to round; figures are medians of the rounds. Where the accelerator is the
CPU, the service's own work competes with the model for the same cores; on a GPU it does not.

Usage: ``python -m tests.bench.overhead [--rounds 5] [--images 20] [--json FILE]``
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from common import catalog, keys
from common.catalog import ModelCard
from common.cli.rehearsal import rehearse
from common.client import Client, Json
from common.database import Database
from common.models import Attempt, Press
from common.settings import Settings

LOOP_THREADS = (1, 2)
PROMPT = "a fox on a red background"


def main() -> None:
    """Run the rounds, print the table, and write the figures as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    card, directory = next(iter(catalog.offered(Settings.from_environ()).values()))
    if directory is None:
        sys.exit("The painted stand-in has no pipeline to compare with; leave PRESSROOM_MODELS alone.")
    figures = measure(card, directory, given.rounds, given.images)
    show(card, figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure(card: ModelCard, directory: Path, rounds: int, images: int) -> dict[str, object]:
    """Return images per second of each contestant by round, and where the service's accelerator seconds went."""
    rates: dict[str, list[float]] = {}
    with ExitStack() as stack:
        contestants = {
            f"bare loop, {threads} thread{'s' if threads > 1 else ''}": stack.enter_context(
                loop(card, directory, threads)
            )
            for threads in LOOP_THREADS
        }
        home = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "home"
        settings = stack.enter_context(rehearse(home, os.environ))
        client = stack.enter_context(Client(settings.client_url, make_key(settings)))
        order_and_wait(client, 2)
        service = Service(client)
        names = [*contestants, "service"]
        for turn in range(rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                took = service.take(images) if name == "service" else ask(contestants[name], images)
                rates.setdefault(name, []).append(images / took)
                print(f"round {turn + 1}: {name:22} {rates[name][-1]:.3f} images/s", file=sys.stderr)
        time.sleep(2 * settings.beat_seconds)
        shares = read_shares(settings)
    return {"images": images, "rates": rates, "shares": shares}


@contextmanager
def loop(card: ModelCard, directory: Path, threads: int) -> Iterator[subprocess.Popen[str]]:
    """Yield a bare loop in a process of its own, loaded and warm."""
    command = [sys.executable, "-m", "tests.bench.bare_loop", str(directory)]
    command += [str(card.default_steps), str(card.default_guidance_scale), str(threads)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        try:
            yield process
        finally:
            process.stdin.close()


def ask(process: subprocess.Popen[str], images: int) -> float:
    """Have a bare loop print so many images; return the seconds."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{images}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


class Service:
    """The whole of Pressroom as a contestant."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def take(self, images: int) -> float:
        """Order so many images at once; return the seconds from the first order to the last job's end."""
        jobs = order_and_wait(self._client, images)
        began = min(datetime.fromisoformat(job["created_at"]) for job in jobs)
        ended = max(datetime.fromisoformat(job["finished_at"]) for job in jobs)
        return (ended - began).total_seconds()


def order_and_wait(client: Client, images: int) -> list[Json]:
    """Order so many jobs of one image and return them when all have ended."""
    ordered = [client.submit({"prompt": PROMPT, "seed": seed, "priority": "bulk"}) for seed in range(images)]
    return [client.wait(job["id"]) for job in ordered]


def make_key(settings: Settings) -> str:
    """Return a key to the stack."""
    database = Database(settings.sqlalchemy_url)
    with database.transaction() as session:
        key = keys.create(session, "bench")
    database.close()
    return key


def read_shares(settings: Settings) -> dict[str, float]:
    """Return the accelerator's seconds by phase, and its named overhead, from the service's own books."""
    database = Database(settings.sqlalchemy_url)
    shares: dict[str, float] = {}
    with database.reading() as session:
        for phases in session.scalars(select(Attempt.phases)):
            for name, seconds in phases.items():
                shares[name] = shares.get(name, 0.0) + seconds
        press = session.scalars(select(Press)).one()
        shares["booked to jobs"] = sum(shares.values())
        shares["overhead"] = sum(press.overhead.values())
        shares["busy"] = press.busy_seconds
    database.close()
    return shares


def show(card: ModelCard, figures: dict[str, object]) -> None:
    """Print the table."""
    rates: dict[str, list[float]] = figures["rates"]  # type: ignore[assignment]  # our own figures
    shares: dict[str, float] = figures["shares"]  # type: ignore[assignment]
    medians = {name: statistics.median(values) for name, values in rates.items()}
    best = max(rate for name, rate in medians.items() if name != "service")
    print(f"{card.name}: {card.default_width} px, {card.default_steps} steps; load average {os.getloadavg()[0]:.1f}\n")
    print(f"{'':24} {'images/s':>9} {'least':>7} {'most':>7} {'÷ best loop':>12}")
    for name, rate in medians.items():
        print(f"{name:24} {rate:9.3f} {min(rates[name]):7.3f} {max(rates[name]):7.3f} {rate / best:12.3f}")
    print("\naccelerator seconds of the service by phase:")
    for name in ("encode", "denoise", "decode"):
        print(f"  {name:10} {shares.get(name, 0.0):8.2f}  {shares.get(name, 0.0) / shares['booked to jobs']:6.1%}")
    gap = shares["busy"] - shares["booked to jobs"] - shares["overhead"]
    booked, overhead = shares["booked to jobs"], shares["overhead"]
    print(f"  busy {shares['busy']:.2f} = jobs {booked:.2f} + overhead {overhead:.2f} + {gap:.4f}")


if __name__ == "__main__":
    main()
