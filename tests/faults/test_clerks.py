"""Clerks that die while they send a message: it is sent again with the same id and a new signature."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from common.clock import utcnow
from common.db import schema
from common.db.engine import Database
from common.settings import Settings
from common.states.webhooks import Failure, MessageState
from common.tables import WebhookEndpoint, WebhookMessage
from common.webhooks import endpoints, outbox, signing_secrets
from common.webhooks.endpoints import NewEndpoint
from common.webhooks.signing_secrets import SecretCipher
from tests.functional.stack import until
from tests.support.servers.api_servers import ROOT
from tests.support.servers.processes import own_folder, running
from tests.support.servers.webhook_receivers import receiving
from tests.support.webhook_fixture import WebhookFixture

ENVIRON = {
    "PYTHONPATH": str(ROOT),
    "PRESSROOM_MODELS": "painted",
    "PRESSROOM_TICK_SECONDS": "0.1",
    "PRESSROOM_WEBHOOK_ALLOW": "127.0.0.1",
    "PRESSROOM_LOG_FORMAT": "json",
}


@pytest.fixture
def home() -> Iterator[Path]:
    with own_folder() as folder:
        yield folder


@contextmanager
def clerk(home: Path, *faults: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a clerk that breaks as *faults* say."""
    environ = ENVIRON | {"PRESSROOM_HOME": str(home), "PRESSROOM_FAULTS": ",".join(faults)}
    with running([sys.executable, "-m", "common.clerk"], home, lambda: True, environ=environ) as process:
        yield process


def owe(home: Path, url: str) -> tuple[WebhookFixture, str, WebhookMessage]:
    """Make a database in which a message is owed; return it with the secret that signs."""
    settings = Settings.from_environ({"PRESSROOM_HOME": str(home)})
    database = Database(settings.sqlalchemy_url)
    schema.upgrade_schema(database)
    with database.transaction() as session:
        cipher = SecretCipher(settings.read_secret())
        row, secret = endpoints.create_endpoint(session, cipher, NewEndpoint("ada", url), most=1)
        message = outbox.publish_test_event(session, session.get_one(WebhookEndpoint, row.id))
    return WebhookFixture(database), signing_secrets.format_secret(secret), message


def test_100_a_clerk_without_tables_says_so_in_a_sentence_and_goes_on_when_they_are_there(home: Path) -> None:
    database = Database(Settings.from_environ({"PRESSROOM_HOME": str(home)}).sqlalchemy_url)
    log = home / "log"
    with clerk(home) as waiting:
        until(lambda: "waiting_for_database" in log.read_text(), "the clerk to say why it waits")
        webhook_fixture, _, message = owe(home, "http://127.0.0.1:1/")
        until(lambda: webhook_fixture.attempts(message.id), "the clerk to work")
        assert waiting.poll() is None
    assert "Traceback" not in log.read_text()
    webhook_fixture.database.close()
    database.close()


@pytest.mark.parametrize(("point", "arrivals"), [("sending", 1), ("sent", 2)])
def test_f08_f42_a_message_whose_clerk_dies_is_sent_by_another_clerk(home: Path, point: str, arrivals: int) -> None:
    with receiving() as receiver:
        webhook_fixture, secret, message = owe(home, receiver.url)
        with clerk(home, f"{point}:kill") as dying:
            assert dying.wait(60) == -9
        assert len(receiver.received) == arrivals - 1
        assert webhook_fixture.message(message.id).state is MessageState.PENDING
        with webhook_fixture.database.transaction() as session:
            lapsed = utcnow() - timedelta(seconds=1)
            session.execute(update(WebhookMessage).values(lease_until=lapsed))
        with clerk(home):
            until(
                lambda: webhook_fixture.message(message.id).state is MessageState.DELIVERED,
                "the message to be delivered",
            )
        assert len(receiver.received) == arrivals
        for number, request in enumerate(receiver.received, 3 - arrivals):
            request.verify(secret)
            assert request.headers["webhook-id"] == str(message.id)
            assert request.headers["webhook-attempt"] == str(number)
            assert request.body == message.body
    assert [attempt.error for attempt in webhook_fixture.attempts(message.id)] == [Failure.INTERRUPTED, None]
    webhook_fixture.database.close()
