"""How claims, submissions and pages depend on how long the queue and the history are.

Two databases on one PostgreSQL server that syncs its disk: one with a short queue and no history, one with a long queue
of twenty owners and five models and a month of finished jobs. On each, presses claim (with one, two and five models,
and with warm lanes that have jobs and that have none), owners submit over HTTP to one gunicorn worker, and every list
of the API and of the console is read, with its filters and far back. Nothing of it may grow with the tables: the goal
is 1.5 times the short queue's 95th percentile for claims and submissions, and 150 ms for a page.

Usage: ``python -m tests.bench.service.large_tables [--queued 300000] [--finished 1000000] [--rounds 40]``
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from common.access import keys
from common.clock import utcnow
from common.db import schema
from common.db.engine import Database
from common.jobs import dispatch, lifecycle
from common.jobs.notifier import RecordingNotifier
from tests.bench import plots
from tests.bench.outcome import FOLDER, Outcome, Table
from tests.bench.service import filled_tables
from tests.bench.service.filled_tables import Filled
from tests.support import factories
from tests.support.servers import services
from tests.support.servers.api_servers import ROOT, answers
from tests.support.servers.processes import free_ports, own_folder, running

SHORT, LONG = "short queue", "large tables"
SHORT_QUEUE = 1000
WARM_UP = 3
DEEP = 20
"""The page that is read as a page far back."""

REQUEST = {"prompt": "a lighthouse at dusk", "width": 512, "height": 512}
LISTS = {
    "jobs": "jobs?limit=50",
    "jobs, queued": "jobs?status=queued&limit=50",
    "jobs, failed": "jobs?status=failed&limit=50",
    "jobs, of a model": "jobs?model=model-3&limit=50",
    "jobs, of no model there is": "jobs?model=none&limit=50",
    "jobs, failed, of a model": "jobs?status=failed&model=model-3&limit=50",
    "images": "images?limit=50",
    "images, for review": "images?verdict=review&limit=50",
    "images, erased (none is)": "images?status=erased&limit=50",
    "images, of a model": "images?model=model-3&limit=50",
    "images, of no style there is": "images?style=none&limit=50",
    "images, of a campaign": "images?campaign_id={campaign}&limit=50",
    "images, of a day": "images?from={day}T00:00:00Z&to={next_day}T00:00:00Z&limit=50",
    "campaigns": "campaigns?limit=50",
    "campaigns, of a status": "campaigns?status=running&limit=50",
    "a campaign": "campaigns/{campaign}",
    "recipients": "campaigns/{campaign}/recipients?limit=50",
    "webhooks": "webhooks",
    "deliveries": "webhooks/{endpoint}/deliveries?limit=50",
    "deliveries, exhausted (none is)": "webhooks/{endpoint}/deliveries?state=exhausted&limit=50",
    "audit": "audit?limit=50",
    "audit, of an act there is not": "audit?act=key.revoked&limit=50",
    "audit, of all owners": "audit/operator?limit=50",
    "quarantine": "quarantine?limit=50",
    "quarantine, released (none is)": "quarantine?state=released&limit=50",
    "keys": "keys",
    "overview": "overview",
    "usage": "usage",
    "usage by day": "usage?group_by=day",
    "usage by model": "usage?group_by=model",
    "operator's report": "usage/operator",
}
PAGES = {
    "overview": "overview",
    "jobs": "jobs",
    "jobs, failed": "jobs?status=failed",
    "jobs, of a model": "jobs?model=model-3",
    "jobs, interactive": "jobs?priority=interactive",
    "jobs, of no model there is": "jobs?model=none",
    "jobs, of a day": "jobs?since={day}&until={day}",
    "jobs, words": "jobs?words=violin",
    "jobs, words that none has": "jobs?words=zeppelin",
    "gallery": "gallery",
    "gallery, for review": "gallery?verdict=review",
    "gallery, of a campaign": "gallery?campaign={campaign}",
    "gallery, of no style there is": "gallery?style=none",
    "campaigns": "campaigns",
    "a running campaign": "campaigns/{campaign}/watch",
    "results of a campaign": "campaigns/{campaign}/results",
    "recipients of a campaign": "campaigns/{campaign}/recipients",
    "webhook": "webhooks/{endpoint}",
    "audit": "audit",
    "review": "review",
    "costs": "costs",
    "keys": "keys",
}

Times = dict[str, dict[str, float]]


def main(words: list[str] | None = None) -> None:
    """Measure both databases, print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queued", type=int, default=300_000)
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    found: dict[str, Times] = {}
    with services.start_postgresql(durable=True) as server:
        for name, queued, finished in ((SHORT, SHORT_QUEUE, 0), (LONG, given.queued, given.finished)):
            url = services.create_database(server, name.replace(" ", "-"))
            database = Database(url)
            schema.upgrade_schema(database)
            filled = filled_tables.fill_tables(database, queued, finished)
            found[name] = measure(database, filled, given.rounds)
            database.close()
    options = {name: value for name, value in vars(given).items() if name != "out"}
    notes = [
        f"{SHORT}: {SHORT_QUEUE} queued jobs; {LONG}: {given.queued} queued and {given.finished} finished ones.",
        "Goals for large tables: claims and submissions 1.5 × the short queue's p95, pages 150 ms.",
    ]
    Outcome("large_tables", options, [_tabulate(found)], dict(found), notes).write(
        given.out, lambda path: _draw(path, found)
    )


def measure(database: Database, filled: Filled, rounds: int) -> Times:
    """Return the milliseconds of everything on one filled database, by name: median and 95th percentile."""
    times = measure_queue(database, filled, rounds)
    with serving(database) as url:
        times |= measure_submissions(database, filled, url, rounds)
        key = filled.keys["owner-0"]
        with httpx2.Client(
            base_url=f"{url}/v1/", headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=120
        ) as client:
            lists = {f"API: {name}": _place(path, filled) for name, path in LISTS.items()}
            lists |= {f"API: {name}, page {DEEP}": _leaf_api(client, f"{name}?limit=50") for name in ("jobs", "images")}
            times |= {name: _time(partial(_get, client, path), rounds) for name, path in lists.items()}
        cookies = httpx2.post(f"{url}/console/sign-in", data={"key": key}, trust_env=False, timeout=60).cookies
        with httpx2.Client(base_url=f"{url}/console/", cookies=dict(cookies), trust_env=False, timeout=120) as client:
            pages = {f"console: {name}": _place(path, filled) for name, path in PAGES.items()}
            times |= {name: _time(partial(_get, client, path), rounds) for name, path in pages.items()}
    return times


def measure_queue(database: Database, filled: Filled, rounds: int) -> Times:
    """Return the times of claims, each committed, and of the clerk's rounds on the queue."""
    press = factories.press(database, models=filled.models)
    side = filled_tables.SIZES[1]
    warm = [factories.image_request(model=model, width=side, height=side).lane for model in filled.models]
    missing = [factories.image_request(model=model, width=8).lane for model in filled.models]

    def claim(models: Collection[str], lanes: Collection[str]) -> None:
        assert factories.claim(database, press, models=models, warm_lanes=lanes, lease=timedelta(days=1)) is not None

    def sweep() -> None:
        with database.transaction() as session:
            lifecycle.expire_due_jobs(session)
        with database.transaction() as session:
            lifecycle.requeue_lost_jobs(session, 3)

    notifier = RecordingNotifier()
    acts: dict[str, Callable[[], object]] = {
        f"claim with {count} model{'s' if count > 1 else ''}": partial(claim, filled.models[:count], ())
        for count in (1, 2, 5)
    }
    acts |= {
        "claim with 5 models, lanes are warm": partial(claim, filled.models, warm),
        "claim with 5 models, warm lanes have no jobs": partial(claim, filled.models, missing),
        "sweep": sweep,
        "top-up": lambda: dispatch.notify_due_jobs(database, notifier),
    }
    return {name: _time(act, rounds) for name, act in acts.items()}


def measure_submissions(database: Database, filled: Filled, url: str, rounds: int) -> Times:
    """Return the times of requests to submit a job: by owners with a queue, and by owners without one."""
    with database.transaction() as session:
        fresh = iter([keys.create_api_key(session, f"fresh-{number}") for number in range(rounds + WARM_UP)])
    with httpx2.Client(base_url=f"{url}/v1/", trust_env=False, timeout=120) as client:

        def submit(key: str, **fields: Any) -> None:
            answer = client.post("jobs", json=REQUEST | fields, headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == 202, answer.text

        known = filled.keys["owner-1"]
        return {
            "submit, known owner": _time(lambda: submit(known), rounds),
            "submit, known owner, bulk": _time(lambda: submit(known, priority="bulk"), rounds),
            "submit, new owner": _time(lambda: submit(next(fresh)), rounds),
        }


@contextmanager
def serving(database: Database) -> Iterator[str]:
    """Run an api with one gunicorn worker on *database*; yield its URL."""
    with ExitStack() as stack:
        (port,), folder = free_ports(1), stack.enter_context(own_folder())
        environ = {
            "PYTHONPATH": str(ROOT),
            "PRESSROOM_HOME": str(folder),
            "PRESSROOM_BIND": f"127.0.0.1:{port}",
            "PRESSROOM_DATABASE_URL": database.url.render_as_string(hide_password=False),
            "PRESSROOM_REDIS_URL": stack.enter_context(services.start_redis()),
            "PRESSROOM_MAX_QUEUED_JOBS": "20000",
        }
        command = [sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"]
        stack.enter_context(running(command, folder, lambda: answers(port), environ=environ))
        yield f"http://127.0.0.1:{port}"


def _place(path: str, filled: Filled) -> str:
    day = utcnow().date() - timedelta(days=filled_tables.DAYS // 2)
    ids = {"campaign": filled.campaign_id, "endpoint": filled.endpoint_id}
    return path.format(day=day, next_day=day + timedelta(days=1), **ids)


def _get(client: httpx2.Client, path: str) -> httpx2.Response:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
    return answer


def _leaf_api(client: httpx2.Client, path: str) -> str:
    """Return the path of a page far back in a list; the last one, where there are fewer."""
    shown = path
    for _ in range(DEEP - 1):
        following = _get(client, shown).json()["next"]
        if following is None:
            break
        shown = f"{path}&cursor={following}"
    return shown


def _time(act: Callable[[], object], rounds: int) -> dict[str, float]:
    for _ in range(WARM_UP):
        act()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000)
    return {"p50": statistics.median(taken), "p95": sorted(taken)[min(rounds - 1, int(rounds * 0.95))]}


def _tabulate(found: Mapping[str, Times]) -> Table:
    short, long = found[SHORT], found[LONG]
    rows = []
    for name in long:
        taken = [f"{each[name][unit]:.1f}" for each in (short, long) for unit in ("p50", "p95")]
        rows.append([name, *taken, f"{long[name]['p95'] / short[name]['p95']:.1f} ×"])
    return Table("Milliseconds", ["", *(f"{name}, {unit}" for name in found for unit in ("p50", "p95")), "p95"], rows)


def _draw(path: Path, found: Mapping[str, Times]) -> None:
    with plots.sheet(path, len(found), "95th percentile") as panels:
        for panel, (name, times) in zip(panels, found.items(), strict=True):
            plots.draw_bars(panel, {act: each["p95"] for act, each in times.items()}, f"ms, {name}", "")


if __name__ == "__main__":
    main()
