"""Checks the guarantees under faults: ``python -m tests.soak --minutes 30 [--seed 1]``; no job is lost or ended twice.

Four painted presses, the api and the clerk on PostgreSQL, Redis and S3; a queue of two thousand jobs and five new ones
a second; every few seconds something breaks. Then everything is mended, the queue is drained, and the state of the
whole is held against the promises. The report goes to ``var/soak``, with a history of what happened when.
"""

import argparse
import json
import shutil
import socket
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from common.db.engine import Database
from common.states.jobs import TERMINAL
from common.states.webhooks import MessageState
from common.tables import Job, WebhookMessage
from tests.bench.outcome import describe_load, describe_machine
from tests.functional.stack import CUSTOMER_TEXT, QUICK, Stack, running
from tests.soak import report, watch
from tests.soak.customers import Customers
from tests.soak.faults import FaultInjector
from tests.soak.history import History
from tests.soak.report import Guarantees
from tests.soak.stack import HISTORY, SoakServers, start_servers
from tests.support import invariants
from tests.support.servers.webhook_receivers import Received, answer, receiving
from tests.support.waiting import until

PRESSES, QUEUED, RATE = 4, 2000, 5.0
SETTINGS = QUICK | {
    "PRESSROOM_PAINTED_STEP_SECONDS": "0.01",
    "PRESSROOM_WEBHOOK_ALLOW": "127.0.0.1",
}

READY_SECONDS, DRAIN_SECONDS, DELIVERY_SECONDS = 180, 1800, 60
FAILING_SHARE = 0.1
"""Of the requests to the receiver, which it answers with 500."""


def main(words: list[str] | None = None) -> int:
    """Soak; print and write the report; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--queued", type=int, default=QUEUED, help="jobs that are ordered at first")
    parser.add_argument("--rate", type=float, default=RATE, help="new jobs a second")
    parser.add_argument("--presses", type=int, default=PRESSES)
    parser.add_argument("--out", type=Path, default=HISTORY)
    given = parser.parse_args(words)
    answers = RandomAnswers(given.seed)
    history = History(given.out / f"soak-{given.seed}.jsonl")
    with (
        start_servers() as servers,
        receiving(answers) as receiver,
        running(servers, presses=given.presses, settings=SETTINGS, patience_seconds=READY_SECONDS) as stack,
    ):
        guarantees, found = soak(stack, servers, receiver.url, history, given)
        found["webhooks"] = report.describe_webhooks(stack.database, answers.taken)
        if not guarantees.are_kept:
            shutil.copy(stack.log, given.out / f"soak-{given.seed}.log")
    history.close()
    whole = {"promises": asdict(guarantees), **found, "machine": describe_load(describe_machine())}
    (given.out / f"soak-{given.seed}.json").write_text(json.dumps(whole, indent=1, default=str) + "\n", "utf-8")
    print(report.show(whole))
    print("kept" if guarantees.are_kept else "BROKEN")
    return 0 if guarantees.are_kept else 1


def soak(
    stack: Stack, servers: SoakServers, hook_url: str, history: History, given: argparse.Namespace
) -> tuple[Guarantees, dict[str, Any]]:
    """Submit jobs and inject faults for so long, then drain; return the state of the guarantees, and the costs."""
    watch.install(stack.database)
    customers = Customers(stack, hook_url, given.seed, history)
    injector = FaultInjector(stack, servers, given.seed, history)
    began = time.monotonic()
    customers.begin(given.queued, given.rate)
    while time.monotonic() - began < 60 * given.minutes:
        injector.trigger()
    customers.finish()
    drained = _drain(stack)
    accepted = {UUID(job_id) for client in stack.clients.values() for job_id in client.accepted}
    _await_deliveries(stack.database)
    guarantees = _judge(stack, accepted, customers)
    history.note("drained", seconds=round(drained, 1))
    for move in watch.read_moves(stack.database):
        history.note("move", **move)
    load = {"accepted": len(accepted), "minutes": given.minutes, "seed": given.seed, "drained_seconds": round(drained)}
    found = {
        "orders": load | {"unanswered": history.counts["unanswered"], "refused": dict(history.refused)},
        "costs": report.describe_costs(stack.database),
        "recovery": report.describe_recovery(stack.database, history.struck),
    }
    return guarantees, found


def _drain(stack: Stack) -> float:
    """Wait until nothing is queued or running; return the seconds. Jobs that do not end are counted as lost."""
    began = time.monotonic()

    def is_empty() -> bool:
        with stack.database.reading() as session:
            open_jobs = select(func.count()).select_from(Job).where(Job.status.not_in(TERMINAL))
            return session.scalar(open_jobs) == 0

    while not is_empty() and time.monotonic() - began < DRAIN_SECONDS:
        time.sleep(0.5)
    return time.monotonic() - began


def _await_deliveries(database: Database) -> None:
    """Wait for what can be delivered soon; what was refused twice waits longer by the schedule, and is counted."""
    deadline = time.monotonic() + DELIVERY_SECONDS
    fresh = select(func.count()).where(WebhookMessage.state == MessageState.PENDING, WebhookMessage.tries < 2)
    while time.monotonic() < deadline:
        with database.reading() as session:
            if not session.scalar(fresh):
                return
        time.sleep(0.5)


def _judge(stack: Stack, accepted: set[UUID], customers: Customers) -> Guarantees:
    with stack.database.reading() as session:
        statuses = dict(session.execute(select(Job.id, Job.status)).all())
    said = ""
    try:
        until(stack._is_quiet, "the presses to report")
        invariants.check(stack.database, stack.storage, accepted=accepted)
        written = stack.log.read_text(errors="replace")
        assert CUSTOMER_TEXT not in written, "a prompt stands in the log"
        assert "deadlock detected" not in written, "a deadlock"
    except (AssertionError, pytest.fail.Exception) as broken:
        said = str(broken) or repr(broken)
    return Guarantees(
        lost=sum(statuses.get(job_id) not in TERMINAL for job_id in accepted),
        unexpected=len(statuses.keys() - accepted),
        two_ends=len(watch.ended_twice(stack.database)),
        doubled_by_key=len(customers.doubled),
        invariants=said,
    )


class RandomAnswers:
    """A script for a receiver that takes most messages and fails at some; it counts what it has taken, by id."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.taken: Counter[str] = Counter()

    def __call__(self, connection: socket.socket, request: Received) -> None:
        if self._random.random() < FAILING_SHARE:
            return answer(500)(connection, request)
        self.taken[request.headers["webhook-id"]] += 1
        return answer(204)(connection, request)


if __name__ == "__main__":
    sys.exit(main())
