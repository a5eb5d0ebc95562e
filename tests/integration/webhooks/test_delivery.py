"""How messages get to their receivers, on both databases: tried by schedule, signed, and never lost."""

from ipaddress import ip_address
from uuid import UUID

import pytest

from common.db.engine import Database
from common.settings import Settings
from common.states.webhooks import Failure, MessageState
from common.tables import WebhookMessage
from common.webhooks import outbox
from common.webhooks.deliverer import Deliverer
from common.webhooks.retry_schedule import MOST_TRIES
from common.webhooks.signing_secrets import SecretCipher
from common.webhooks.ssrf_guard import SsrfGuard, SsrfRules
from tests.support import factories
from tests.support.servers.webhook_receivers import Receiver, answer, receiving, tarpit
from tests.support.webhook_fixture import LOOPBACK, WebhookFixture

BROKEN = answer(500, {"Content-Type": "text/plain"}, b"out of order")
FINE = answer(204)


def exhaust(webhook_fixture: WebhookFixture, message_id: UUID) -> None:
    """Try a message until it is given up, each time when it is due."""
    for _ in range(MOST_TRIES):
        webhook_fixture.deliver()
        webhook_fixture.clock.advance(hours=27)
    assert webhook_fixture.message(message_id).state is MessageState.EXHAUSTED


def test_a_message_is_delivered_and_verified_by_the_public_libraries(
    webhook_fixture: WebhookFixture, receiver: Receiver
) -> None:
    endpoint_id, secret = webhook_fixture.subscribe(receiver.url)
    message_id = webhook_fixture.test(endpoint_id)
    webhook_fixture.deliver()
    (request,) = receiver.received
    request.verify(secret)
    message = webhook_fixture.message(message_id)
    assert request.body == message.body
    assert request.headers["webhook-id"] == str(message_id)
    assert request.headers["webhook-attempt"] == "1"
    assert (message.state, message.tries, message.lease_until) == (MessageState.DELIVERED, 1, None)
    assert message.ended_at is not None
    (attempt,) = webhook_fixture.attempts(message_id)
    assert (attempt.status, attempt.error, attempt.response) == (204, None, None)
    assert attempt.seconds is not None


def test_every_try_sends_the_same_bytes_under_the_same_id(webhook_fixture: WebhookFixture) -> None:
    with receiving(BROKEN, BROKEN, FINE) as receiver:
        endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
        message_id = webhook_fixture.test(endpoint_id)
        for _ in range(3):
            webhook_fixture.deliver()
            webhook_fixture.clock.advance(minutes=10)
    first, second, third = receiver.received
    assert first.body == second.body == third.body
    assert {request.headers["webhook-id"] for request in receiver.received} == {str(message_id)}
    times = [int(request.headers["webhook-timestamp"]) for request in receiver.received]
    assert times == sorted(set(times)), "each try says when it is made"
    assert [request.headers["webhook-attempt"] for request in receiver.received] == ["1", "2", "3"]
    assert webhook_fixture.message(message_id).state is MessageState.DELIVERED
    assert [attempt.status for attempt in webhook_fixture.attempts(message_id)] == [500, 500, 204]
    assert webhook_fixture.attempts(message_id)[0].error == Failure.STATUS


def test_a_message_is_not_tried_before_it_is_due(webhook_fixture: WebhookFixture) -> None:
    with receiving(BROKEN) as receiver:
        endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
        webhook_fixture.test(endpoint_id)
        webhook_fixture.deliver()
        webhook_fixture.clock.advance(seconds=4)
        webhook_fixture.deliver()
        assert len(receiver.received) == 1
        webhook_fixture.clock.advance(seconds=2)
        webhook_fixture.deliver()
        assert len(receiver.received) == 2


def test_f38_a_receiver_that_stays_down_exhausts_the_message_which_can_be_resent(
    webhook_fixture: WebhookFixture,
) -> None:
    webhook_fixture.ensure_direct_endpoint()  # no breaker there
    with receiving(*[BROKEN] * MOST_TRIES, FINE) as receiver:
        held = factories.running(webhook_fixture.database, webhook_url=receiver.url, webhook_events=["job.started"])
        (message,) = webhook_fixture.messages()
        exhaust(webhook_fixture, message.id)
        webhook_fixture.deliver()
        assert len(receiver.received) == MOST_TRIES, "no further try"
        assert factories.read(webhook_fixture.database, held.job_id).status == "running", "the job knows nothing of it"
        with webhook_fixture.database.transaction() as session:
            outbox.resend_message(session, session.get_one(WebhookMessage, message.id))
        webhook_fixture.deliver()
    assert webhook_fixture.message(message.id).state is MessageState.DELIVERED
    assert len({(request.body, request.headers["webhook-id"]) for request in receiver.received}) == 1
    assert [attempt.number for attempt in webhook_fixture.attempts(message.id)] == list(range(1, MOST_TRIES + 2))


@pytest.mark.parametrize(
    ("status", "state", "error"),
    [
        (200, MessageState.DELIVERED, None),
        (204, MessageState.DELIVERED, None),
        (299, MessageState.DELIVERED, None),
        (301, MessageState.PENDING, Failure.REDIRECT),
        (302, MessageState.PENDING, Failure.REDIRECT),
        (307, MessageState.PENDING, Failure.REDIRECT),
        (308, MessageState.PENDING, Failure.REDIRECT),
        (400, MessageState.PENDING, Failure.STATUS),
        (410, MessageState.CANCELED, Failure.GONE),
        (429, MessageState.PENDING, Failure.STATUS),
        (500, MessageState.PENDING, Failure.STATUS),
    ],
)
def test_f41_the_response_status_decides_the_outcome(
    sqlite_database: Database, status: int, state: MessageState, error: Failure | None
) -> None:
    webhook_fixture = WebhookFixture(sqlite_database)
    with receiving() as unreachable_server, receiving(answer(status, {"Location": unreachable_server.url})) as receiver:
        endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
        message_id = webhook_fixture.test(endpoint_id)
        webhook_fixture.deliver()
    assert webhook_fixture.message(message_id).state is state
    assert webhook_fixture.attempts(message_id)[0].error == error
    assert unreachable_server.connections == 0


@pytest.mark.parametrize(
    ("advice", "least", "most"),
    [("600", 600, 601), ("1000000000", 86_400, 86_401), ("-5", 5, 6), ("NaN", 5, 6), ("0", 5, 6)],
)
def test_retry_after_delays_the_next_attempt_and_never_hastens_it(
    sqlite_database: Database, advice: str, least: float, most: float
) -> None:
    webhook_fixture = WebhookFixture(sqlite_database)
    with receiving(answer(429, {"Retry-After": advice})) as receiver:
        endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
        message_id = webhook_fixture.test(endpoint_id)
        webhook_fixture.deliver()
    began = webhook_fixture.attempts(message_id)[0].started_at
    waits = (webhook_fixture.message(message_id).next_at - began).total_seconds()
    assert least <= waits < most + 5, "a slow machine books late"


def test_a_secret_of_another_installation_signs_nothing(webhook_fixture: WebhookFixture, receiver: Receiver) -> None:
    endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
    message_id = webhook_fixture.test(endpoint_id)
    deliverer = Deliverer(
        webhook_fixture.database, SecretCipher(b"another house"), LOOPBACK, clock=webhook_fixture.clock
    )
    webhook_fixture.deliver(deliverer)
    assert receiver.received == []
    assert webhook_fixture.attempts(message_id)[0].error == Failure.UNREADABLE


def test_f40_a_name_rebound_to_a_private_address_is_not_contacted(webhook_fixture: WebhookFixture) -> None:
    answers = iter(["93.184.215.14", "127.0.0.1", "127.0.0.1"])
    with receiving() as unreachable_server:
        rules = SsrfRules.of(Settings(webhook_http=True, webhook_ports=(str(unreachable_server.port),)))
        guard = SsrfGuard(rules, resolve_host=lambda *_: [ip_address(next(answers))], is_own=lambda _: False)
        url = guard.check(f"http://rebinding.example:{unreachable_server.port}/").url
        endpoint_id, _ = webhook_fixture.subscribe(url)
        message_id = webhook_fixture.test(endpoint_id)
        deliverer = webhook_fixture.create_deliverer(guard)
        webhook_fixture.deliver(deliverer)
        webhook_fixture.clock.advance(seconds=10)
        webhook_fixture.deliver(deliverer)
    assert unreachable_server.connections == 0
    assert [attempt.error for attempt in webhook_fixture.attempts(message_id)] == [Failure.NOT_ALLOWED] * 2
    assert [attempt.response for attempt in webhook_fixture.attempts(message_id)] == [None] * 2


def test_a_closing_deliverer_starts_no_more_deliveries(webhook_fixture: WebhookFixture) -> None:
    with receiving(tarpit) as receiver:
        endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
        message_id = webhook_fixture.test(endpoint_id)
        deliverer = webhook_fixture.create_deliverer()
        assert deliverer.dispatch() == 1
        receiver.wait(1)
        assert deliverer.dispatch() == 0
        assert not deliverer.wait(0)
    assert deliverer.wait(30), "its receiver hung up"
    deliverer.close()
    assert webhook_fixture.message(message_id).tries == 1
