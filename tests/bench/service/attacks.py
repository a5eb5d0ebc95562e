"""What every attack of one owner at once does to another owner's requests: the same load with and without them.

The load: four clients of one owner, who submit a job and read it again, 12 requests a second in all. The attacks, of
another owner: 33 slow clients of each kind, and costly bodies one after the other: a recipients file of one line of
tabs, templates full of braces, thousands of unknown fields, and a JPEG of 3,000 scans.

Usage: ``python -m tests.bench.service.attacks [--seconds 120]``
"""

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.access import keys
from tests.bench import plots
from tests.bench.outcome import FOLDER, Outcome, Table
from tests.support.servers.api_servers import ROOT, Server, serving
from tests.support.servers.slow_clients import Target

CLIENTS = 4
PAUSE_SECONDS = 0.6
CAMPAIGN = {"name": "cards", "template": {"prompt": "a card for {{ name }}"}, "budget": {"amount": "10"}}


def main(words: list[str] | None = None) -> None:
    """Measure without and with the attacks, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    with serving(PRESSROOM_LOG_LEVEL="ERROR", PRESSROOM_MAX_QUEUED_JOBS="1000000") as server:
        target = _prepare_target(server)
        found = {"without": measure_load(server, given.seconds)}
        with _attacking(target) as answers:
            found["with"] = measure_load(server, given.seconds)
    figures = {name: _sum_up(runs) for name, runs in found.items()}
    notes = [f"{CLIENTS} clients; SQLite, fsync on. Answers to the attacker's costly bodies, by status: {answers}"]
    options = {"seconds": given.seconds}
    outcome = Outcome("attacks", options, [_tabulate(figures)], figures | {"attacker": answers}, notes)
    outcome.write(given.out, lambda path: _draw(path, figures))


def measure_load(server: Server, seconds: float) -> list[tuple[str, int, float]]:
    """Return the kind, the status (0 for none) and the seconds of each request of the load."""
    seen: list[tuple[str, int, float]] = []
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=_work, args=(server, end, seen)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def _work(server: Server, end: float, seen: list[tuple[str, int, float]]) -> None:
    while time.monotonic() < end:
        made = _ask(server, "POST", "/v1/jobs", {"prompt": "a fox"}, seen)
        if made:
            _ask(server, "GET", f"/v1/jobs/{made['id']}", None, seen)
        time.sleep(PAUSE_SECONDS)


def _ask(server: Server, method: str, path: str, fields: Any, seen: list[tuple[str, int, float]]) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    began, status, content = time.monotonic(), 0, {}
    try:
        connection.request(method, path, None if fields is None else json.dumps(fields), headers)
        answer = connection.getresponse()
        content, status = json.loads(answer.read()), answer.status
    except OSError:
        pass
    finally:
        connection.close()
    seen.append((method, status, time.monotonic() - began))
    return content


def _prepare_target(server: Server) -> Target:
    with server.database.transaction() as session:
        attacker = keys.create_api_key(session, "eve")
    owned = Server(server.port, attacker, server.log, server.process, server.database)
    job = _ask(owned, "POST", "/v1/jobs", {"prompt": "a lighthouse"}, [])
    campaign = _ask(owned, "POST", "/v1/campaigns", CAMPAIGN, [])
    return Target(server.port, attacker, job["id"], campaign["id"])


@contextmanager
def _attacking(target: Target) -> Iterator[dict[str, Any]]:
    """Attack until the block ends; fill the yielded mapping with the answers to the costly bodies then."""
    command = [sys.executable, "-m", "tests.bench.service.attack_load"]
    answers: dict[str, Any] = {}
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asdict(target)) + "\n")
        process.stdin.flush()
        process.stdout.readline()
        try:
            yield answers
        finally:
            process.terminate()
            answers.update(json.loads(process.stdout.readline()))


def _sum_up(seen: list[tuple[str, int, float]]) -> dict[str, float]:
    submits = [seconds for method, _, seconds in seen if method == "POST"]
    return {
        "requests": len(seen),
        "failed": sum(status not in (200, 202) for _, status, _ in seen),
        "p50 ms": statistics.median(submits) * 1000,
        "p99 ms": statistics.quantiles(submits, n=100)[98] * 1000,
        "slowest ms": max(submits) * 1000,
    }


def _tabulate(figures: dict[str, dict[str, float]]) -> Table:
    columns = list(figures["without"])
    rows = [[name, *(f"{values[column]:.0f}" for column in columns)] for name, values in figures.items()]
    return Table("Another owner's requests; times are those of POST /v1/jobs", ["attacks", *columns], rows)


def _draw(path: Path, figures: dict[str, dict[str, float]]) -> None:
    with plots.sheet(path, 1, "p99 of POST /v1/jobs") as (panel,):
        plots.draw_bars(panel, {name: values["p99 ms"] for name, values in figures.items()}, "ms", "with")


if __name__ == "__main__":
    main()
