"""What it costs to take an order: durable submits per second, ours ÷ a plain Flask view with a row and ``delay()``.

Ours authenticates, validates, holds limits, is idempotent and says where in the queue a job stands; the other inserts
one row. Both run under gunicorn with one worker and the same threads, on the same database server, pool and broker, and
every commit is on the disk (fsync) before it is answered. A closed loop of keep-alive connections asks, from a process
of its own; the contestants take turns; figures are medians of the rounds.

Usage:
``python -m tests.bench.service.submit [--rounds 5] [--orders 400] [--connections 16] [--databases sqlite,postgresql]``
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.access import keys
from common.db import schema
from common.db.engine import Database
from common.models import catalog
from tests.bench import plots
from tests.bench.outcome import FOLDER, Outcome, Table
from tests.bench.service import plain_api
from tests.support.servers import services
from tests.support.servers.api_servers import ROOT, answers
from tests.support.servers.processes import free_ports, own_folder, running

OURS, PLAIN = "Pressroom", "plain Flask + delay()"
WARM_UP = 50
THREADS = 32
KEEP_ALIVE_SECONDS = 15


@dataclass(frozen=True)
class Server:
    """A contestant that is up, and the key to it."""

    port: int
    key: str


@dataclass(frozen=True)
class Run:
    """What the loop saw in one round."""

    took: float
    seconds: Sequence[float]

    @property
    def figures(self) -> dict[str, float]:
        """Return submits per second, and the median and 99th percentile of their milliseconds."""
        quantiles = statistics.quantiles(self.seconds, n=100)
        return {
            "submits/s": len(self.seconds) / self.took,
            "p50 ms": statistics.median(self.seconds) * 1000,
            "p99 ms": quantiles[98] * 1000,
        }


def main(words: list[str] | None = None) -> None:
    """Measure on each database, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--orders", type=int, default=400, help="orders of each contestant in each round")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    found = {name: measure(name, given.rounds, given.orders, given.connections) for name in given.databases.split(",")}
    options = {key: value for key, value in vars(given).items() if key != "out"}
    notes = [f"{given.connections} connections; one gunicorn worker of {THREADS} threads; fsync on."]
    outcome = Outcome(
        "submit", options, [_tabulate(found)], {name: _sum_up(runs) for name, runs in found.items()}, notes
    )
    outcome.write(given.out, lambda path: _draw(path, found))


def measure(database: str, rounds: int, orders: int, connections: int) -> dict[str, list[dict[str, float]]]:
    """Return the figures of each contestant's rounds on one kind of database."""
    runs: dict[str, list[dict[str, float]]] = {OURS: [], PLAIN: []}
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder())
        broker = stack.enter_context(services.start_redis())
        url = f"sqlite:///{folder}/NAME.db"
        if database == "postgresql":
            server = stack.enter_context(services.start_postgresql(durable=True))
            url = services.create_database(server, "ours")
            services.create_database(server, "plain")
        servers = {
            OURS: stack.enter_context(_ours(url.replace("NAME", "ours"), broker)),
            PLAIN: stack.enter_context(_plain(url.replace("NAME", "plain").replace("/ours", "/plain"), broker)),
        }
        for each in servers.values():
            drive(each, WARM_UP, connections)
        for number in range(rounds):
            for name in list(servers)[:: -1 if number % 2 else 1]:
                runs[name].append(drive(servers[name], orders, connections).figures)
    return runs


def drive(server: Server, orders: int, connections: int) -> Run:
    """Have the loop run once."""
    command = [sys.executable, "-m", "tests.bench.service.submit_load", str(server.port)]
    command += ["--connections", str(connections), "--orders", str(orders)]
    done = subprocess.run(command, input=server.key + "\n", cwd=ROOT, check=True, capture_output=True, text=True)
    return Run(**json.loads(done.stdout))


@contextmanager
def _ours(url: str, broker: str) -> Iterator[Server]:
    database = Database(url)
    schema.upgrade_schema(database)
    with database.transaction() as session:
        catalog.register_models(session, [catalog.PAINTED_CARD])
        key = keys.create_api_key(session, "bench")
    database.close()
    environ = {
        "PRESSROOM_DATABASE_URL": url,
        "PRESSROOM_REDIS_URL": broker,
        "PRESSROOM_API_THREADS": str(THREADS),
        "PRESSROOM_MAX_QUEUED_JOBS": "1000000",
    }
    with _gunicorn(["-c", "python:api.gunicorn_conf"], "api.wsgi:app", environ) as port:
        yield Server(port, key)


@contextmanager
def _plain(url: str, broker: str) -> Iterator[Server]:
    environ = {plain_api.DATABASE: url, plain_api.BROKER: broker}
    flags = ["--worker-class=gthread", "--workers=1", f"--threads={THREADS}", f"--keep-alive={KEEP_ALIVE_SECONDS}"]
    with _gunicorn(
        [*flags, "--no-control-socket"], "tests.bench.service.plain_api:create_from_environ()", environ
    ) as port:
        yield Server(port, "none")


@contextmanager
def _gunicorn(flags: Sequence[str], app: str, environ: Mapping[str, str]) -> Iterator[int]:
    (port,) = free_ports(1)
    with own_folder() as folder:
        mine = {"PYTHONPATH": str(ROOT), "PRESSROOM_HOME": str(folder), "PRESSROOM_BIND": f"127.0.0.1:{port}"}
        command = [sys.executable, "-m", "gunicorn", *flags, "--bind", f"127.0.0.1:{port}", app]
        with running(command, folder, lambda: answers(port), environ=mine | dict(environ)):
            yield port


def _sum_up(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, Any]:
    medians = {
        name: {unit: statistics.median(run[unit] for run in rounds) for unit in rounds[0]}
        for name, rounds in runs.items()
    }
    ratios = [ours["submits/s"] / plain["submits/s"] for ours, plain in zip(runs[OURS], runs[PLAIN], strict=True)]
    return {"medians": medians, "ratio": statistics.median(ratios), "ratios": ratios, "rounds": dict(runs)}


def _tabulate(found: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]) -> Table:
    rows = []
    for database, runs in found.items():
        summary = _sum_up(runs)
        for name, medians in summary["medians"].items():
            shown = [f"{medians['submits/s']:.0f}", f"{medians['p50 ms']:.1f}", f"{medians['p99 ms']:.1f}"]
            rows.append([f"{name}, {database}", *shown, f"{summary['ratio']:.2f} ×" if name == OURS else ""])
    return Table("Durable submits", ["", "submits/s", "p50 ms", "p99 ms", "ours ÷ plain"], rows)


def _draw(path: Path, found: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]) -> None:
    with plots.sheet(path, len(found), "Durable submits per second") as panels:
        for panel, (database, runs) in zip(panels, found.items(), strict=True):
            medians = _sum_up(runs)["medians"]
            rates = {name: values["submits/s"] for name, values in medians.items()}
            plots.draw_bars(panel, rates, f"submits/s on {database}", OURS)


if __name__ == "__main__":
    main()
