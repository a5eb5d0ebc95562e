"""How quick the console is with a long past, and what pages cost that are left open.

One gunicorn worker on PostgreSQL with so many jobs and about as many prints, all of one owner: every list page and each
of its filters is asked for again and again, by one reader at a time. Then so many readers leave the overview open,
each asking as often as the page's script does, while jobs are ordered beside them: what counts is the processor time of
the api, and how long orders take.

Usage: ``python -m tests.bench.console.console [--jobs 100000] [--rounds 40] [--readers 50] [--seconds 60]``
"""

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import psutil

from common.access import keys
from common.access.keys import Scope
from common.db import schema
from common.db.engine import Database
from common.models import catalog
from tests.bench import plots
from tests.bench.console import stock
from tests.bench.outcome import FOLDER, Outcome, Table
from tests.support.servers import services
from tests.support.servers.api_servers import ROOT, answers
from tests.support.servers.processes import free_ports, own_folder, running

OWNER = "bench"
TICK_SECONDS = 5
LIMIT_MS = 150
PAGES = {
    "overview": "overview",
    "jobs": "jobs",
    "jobs, failed": "jobs?status=failed",
    "jobs, of a rarer model": "jobs?model=rare-model",
    "jobs, of no model there is": "jobs?model=none-such",
    "jobs, of one day": "jobs?since=2026-01-01&until=2026-01-02",
    "jobs, words": "jobs?words=violin",
    "jobs, words that none has": "jobs?words=zeppelin",
    "gallery": "gallery",
    "gallery, for review": "gallery?verdict=review",
    "gallery, blocked (none is)": "gallery?status=blocked",
    "gallery, of a rarer model": "gallery?model=rare-model",
    "costs by model": "costs",
    "webhooks": "webhooks",
    "models": "models",
    "keys": "keys",
}


def main(words: list[str] | None = None) -> None:
    """Measure, print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    with ExitStack() as stack:
        url, key, process = _serve(stack, given.jobs)
        pages = measure_pages(url, key, given.rounds)
        live = measure_live(url, key, process, given.readers, given.seconds)
    figures: dict[str, Any] = {"pages": pages, "live": live}
    options = {name: value for name, value in vars(given).items() if name != "out"}
    notes = [
        "PostgreSQL, one gunicorn worker; a page's limit is 150 ms at the 95th percentile.",
        "Limit of the live pages: one core-second a minute.",
    ]
    Outcome("console", options, [_tabulate(pages), _tabulate_live(live)], figures, notes).write(
        given.out, lambda path: _draw(path, pages)
    )


def measure_pages(url: str, key: str, rounds: int) -> dict[str, dict[str, float]]:
    """Return the milliseconds of each page: median, 95th percentile, and the first time."""
    found: dict[str, list[float]] = {name: [] for name in PAGES}
    with _sign_in(url, key) as client:
        deep = {"jobs, page 20": _leaf(client, "jobs"), "gallery, page 20": _leaf(client, "gallery")}
        for _ in range(rounds):
            for name, path in (PAGES | deep).items():
                began = time.perf_counter()
                answer = client.get(path)
                found.setdefault(name, []).append((time.perf_counter() - began) * 1000)
                assert answer.status_code == 200, (name, answer.status_code)
    return {
        name: {"p50": statistics.median(times), "p95": _quantile(times, 0.95), "first": times[0]}
        for name, times in found.items()
    }


def measure_live(url: str, key: str, process: psutil.Process, readers: int, seconds: float) -> dict[str, float]:
    """Return the api's core-seconds a minute without readers and with them, and the median of orders' milliseconds."""
    alone = _measure_orders(url, key, process, seconds / 2)
    stop, asked = threading.Event(), [0] * readers
    threads = [
        threading.Thread(target=_read, args=(url, key, stop, asked, place), daemon=True) for place in range(readers)
    ]
    for thread in threads:
        thread.start()
    time.sleep(TICK_SECONDS + 1)  # everybody has signed in and has the page
    before = sum(asked)
    beside = _measure_orders(url, key, process, seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return {
        "core-s a minute, nobody": alone["core_seconds"],
        "core-s a minute, readers": beside["core_seconds"],
        "core-s a minute for readers": beside["core_seconds"] - alone["core_seconds"],
        "asked a minute": (sum(asked) - before) / seconds * 60,
        "order ms, nobody": alone["order_ms"],
        "order ms, readers": beside["order_ms"],
    }


def _measure_orders(url: str, key: str, process: psutil.Process, seconds: float) -> dict[str, float]:
    """Order a job each second, and cancel it, so that what is live changes; return what that took."""
    times, began, spent = [], time.monotonic(), _spent(process)
    with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30) as client:
        while time.monotonic() - began < seconds:
            start = time.perf_counter()
            made = client.post("/v1/jobs", json={"prompt": "a lighthouse", "width": 64, "height": 64})
            times.append((time.perf_counter() - start) * 1000)
            client.post(f"/v1/jobs/{made.json()['id']}/cancel")
            time.sleep(1)
    took = time.monotonic() - began
    return {"core_seconds": (_spent(process) - spent) / took * 60, "order_ms": statistics.median(times)}


def _read(url: str, key: str, stop: threading.Event, asked: list[int], place: int) -> None:
    """Leave the overview open: ask as its script does, with what the browser has."""
    tag = ""
    stop.wait(TICK_SECONDS * place / len(asked))
    with _sign_in(url, key) as client:
        while not stop.is_set():
            answer = client.get("overview/now", headers={"If-None-Match": tag} if tag else {})
            tag = answer.headers["ETag"]
            asked[place] += 1
            stop.wait(TICK_SECONDS)


def _serve(stack: ExitStack, jobs: int) -> tuple[str, str, psutil.Process]:
    broker = stack.enter_context(services.start_redis())
    url = services.create_database(stack.enter_context(services.start_postgresql()), "console")
    database = Database(url)
    schema.upgrade_schema(database)
    with database.transaction() as session:
        catalog.register_models(session, [catalog.PAINTED_CARD])
        key = keys.create_api_key(session, OWNER, scopes=tuple(Scope))
    stock.fill(database, OWNER, jobs)
    database.close()
    (port,), folder = free_ports(1), stack.enter_context(own_folder())
    environ = {
        "PYTHONPATH": str(ROOT),
        "PRESSROOM_HOME": str(folder),
        "PRESSROOM_BIND": f"127.0.0.1:{port}",
        "PRESSROOM_DATABASE_URL": url,
        "PRESSROOM_REDIS_URL": broker,
        "PRESSROOM_MAX_QUEUED_JOBS": "1000000",
        "PRESSROOM_LEASE_SECONDS": "3600",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"]
    process = stack.enter_context(running(command, folder, lambda: answers(port), environ=environ))
    return f"http://127.0.0.1:{port}", key, psutil.Process(process.pid)


def _sign_in(url: str, key: str) -> httpx2.Client:
    """Return a client with a session: one for all, for an address may sign in twenty times a minute."""
    with _LOCK:
        if key not in _COOKIES:
            answer = httpx2.post(f"{url}/console/sign-in", data={"key": key}, trust_env=False, timeout=60)
            assert answer.status_code == 303, answer.text
            _COOKIES[key] = dict(answer.cookies)
    return httpx2.Client(base_url=f"{url}/console/", cookies=_COOKIES[key], trust_env=False, timeout=60)


def _leaf(client: httpx2.Client, path: str, pages: int = 20) -> str:
    """Return the path of a page far back in a list; the last one, where there are fewer."""
    for _ in range(pages - 1):
        following = client.get(path).text.partition('rel="next" href="')[2].partition('"')[0]
        if not following:
            break
        path = following.removeprefix("/console/").replace("&amp;", "&")
    return path


def _spent(process: psutil.Process) -> float:
    family = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in family)


def _quantile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def _tabulate(pages: Mapping[str, Mapping[str, float]]) -> Table:
    rows = [[name, *(f"{values[figure]:.0f}" for figure in ("p50", "p95", "first"))] for name, values in pages.items()]
    return Table("List pages", ["", "p50 ms", "p95 ms", "first ms"], rows)


def _tabulate_live(live: Mapping[str, float]) -> Table:
    return Table("Pages left open", ["", ""], [[name, f"{value:.2f}"] for name, value in live.items()])


def _draw(path: Path, pages: Mapping[str, Mapping[str, float]]) -> None:
    with plots.sheet(path, 1, "The console's pages, 95th percentile") as (panel,):
        plots.draw_bars(panel, {name: values["p95"] for name, values in pages.items()}, "ms", "")


_LOCK = threading.Lock()
_COOKIES: dict[str, Any] = {}


if __name__ == "__main__":
    main()
