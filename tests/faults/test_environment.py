"""What stands around the processes and fails: the sink of their logs, the resolver of names, passwords that change."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import BinaryIO

import pytest
import sqlalchemy
from sqlalchemy import text

from common.access import keys
from common.db.engine import Database
from common.settings import Settings
from common.states.jobs import JobStatus, Outcome
from common.states.webhooks import Failure, MessageState
from common.webhooks.public_addresses import UnresolvedError
from common.webhooks.ssrf_guard import SsrfGuard, SsrfRules
from common.webhooks.urls import Address
from tests.faults.support import press_process
from tests.faults.support.press_process import Linked
from tests.functional.stack import Client, Stack
from tests.support.servers.api_servers import ROOT
from tests.support.servers.processes import die_with_parent, stop
from tests.support.servers.webhook_receivers import receiving
from tests.support.waiting import until
from tests.support.webhook_fixture import WebhookFixture


@contextmanager
def _press_that_logs_to(stack: Stack, sink: BinaryIO) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "worker.main"],
        env=stack.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=sink,
        preexec_fn=die_with_parent,  # noqa: PLW1509  (one system call, no lock can be held in it)
    )
    try:
        yield process
    finally:
        stop(process)


@contextmanager
def _closed_pipe() -> Iterator[BinaryIO]:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as sink:
        yield sink


@contextmanager
def _full_disk() -> Iterator[BinaryIO]:
    with Path("/dev/full").open("wb") as sink:
        yield sink


SINKS = {"a full disk": _full_disk, "a closed pipe": _closed_pipe}


@pytest.mark.parametrize("kind", SINKS)
def test_f61_a_press_whose_log_cannot_be_written_goes_on_printing(stack: Stack, kind: str) -> None:
    with SINKS[kind]() as sink, _press_that_logs_to(stack, sink) as press:
        job_id = stack.client().order()
        (row,) = stack.settle([job_id])
        assert (row.status, press.poll()) == (JobStatus.SUCCEEDED, None)


def test_f62_a_webhook_whose_name_does_not_resolve_is_sent_later(sqlite_database: Database) -> None:
    is_down = True

    def resolve(host: str, port: int, seconds: float) -> list[Address]:
        if is_down:
            raise UnresolvedError
        return [ip_address("127.0.0.1")]

    webhook_fixture = WebhookFixture(sqlite_database)
    with receiving() as receiver:
        endpoint_id, _ = webhook_fixture.subscribe(f"http://hooks.example:{receiver.port}/hook")
        message_id = webhook_fixture.test(endpoint_id)
        rules = SsrfRules.of(Settings(webhook_allow=("hooks.example",)))
        deliverer = webhook_fixture.create_deliverer(SsrfGuard(rules, resolve_host=resolve, is_own=lambda _: False))
        webhook_fixture.deliver(deliverer)
        assert webhook_fixture.message(message_id).state is MessageState.PENDING
        is_down = False
        webhook_fixture.clock.advance(minutes=1)
        webhook_fixture.deliver(deliverer)
    assert webhook_fixture.message(message_id).state is MessageState.DELIVERED
    assert [attempt.error for attempt in webhook_fixture.attempts(message_id)] == [Failure.UNRESOLVED, None]


@contextmanager
def _role(stack: Stack, links: Linked, password: str) -> Iterator[str]:
    """Have a role of its own for presses; yield the database's URL with it."""
    with stack.database.transaction() as session:
        session.execute(text(f"CREATE ROLE rotating LOGIN SUPERUSER PASSWORD '{password}'"))
    url = sqlalchemy.make_url(links.name_database(links.database_link)).set(username="rotating", password=password)
    yield url.render_as_string(hide_password=False)
    with stack.database.transaction() as session:
        session.execute(text("DROP ROLE rotating"))


def test_f63_keys_and_passwords_change_while_jobs_are_printed_and_none_fails(linked: Stack, links: Linked) -> None:
    client = linked.client()
    ordered = [client.order(steps=20) for _ in range(6)]
    with _role(linked, links, "before") as old_url, press_process.press(linked, PRESSROOM_DATABASE_URL=old_url):
        until(lambda: linked.count(JobStatus.SUCCEEDED, ordered) >= 1, "a job to be printed")
        with linked.database.transaction() as session:
            session.execute(text("ALTER ROLE rotating PASSWORD 'after'"))
            new_key = keys.create_api_key(session, "ada")
            keys.revoke_api_key(session, client.key.split("_")[1])
        assert client.http.get("/v1/jobs").status_code == 401, "the old key is dead"
        successor = Client(linked.settings.base_url, new_key, None)
        linked.clients["ada of the new key"] = successor
        ordered.append(successor.order())
        with press_process.press(linked, PRESSROOM_DATABASE_URL=old_url.replace("before", "after")):
            assert {row.status for row in linked.settle(ordered)} == {JobStatus.SUCCEEDED}
    assert {attempt.outcome for attempt in linked.attempts(*ordered)} <= {Outcome.SUCCEEDED, Outcome.RELEASED}
    client.http.headers["Authorization"] = f"Bearer {new_key}"
