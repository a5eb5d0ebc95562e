"""How messages get to their receivers, on both databases: tried by schedule, signed, and never lost."""

from ipaddress import ip_address
from uuid import UUID

import pytest

from common.db.engine import Database
from common.settings import Settings
from common.tables import WebhookMessage
from common.tables.webhook_states import Failure, MessageState
from common.webhooks import outbox
from common.webhooks.deliverer import Deliverer
from common.webhooks.retry_schedule import MOST_TRIES
from common.webhooks.signing_secrets import SecretCipher
from common.webhooks.ssrf_guard import SsrfGuard, SsrfRules
from tests.support import factories
from tests.support.servers.webhook_receivers import Receiver, answer, receiving, tarpit
from tests.support.webhook_fixture import LOOPBACK, Office

BROKEN = answer(500, {"Content-Type": "text/plain"}, b"out of order")
FINE = answer(204)


def exhaust(office: Office, message_id: UUID) -> None:
    """Try a message until it is given up, each time when it is due."""
    for _ in range(MOST_TRIES):
        office.deliver()
        office.clock.advance(hours=27)
    assert office.message(message_id).state is MessageState.EXHAUSTED


def test_a_message_is_delivered_and_verified_by_what_receivers_use(office: Office, receiver: Receiver) -> None:
    endpoint_id, secret = office.subscribe(receiver.url)
    message_id = office.test(endpoint_id)
    office.deliver()
    (request,) = receiver.received
    request.verify(secret)
    message = office.message(message_id)
    assert request.body == message.body
    assert request.headers["webhook-id"] == str(message_id)
    assert request.headers["webhook-attempt"] == "1"
    assert (message.state, message.tries, message.lease_until) == (MessageState.DELIVERED, 1, None)
    assert message.ended_at is not None
    (attempt,) = office.attempts(message_id)
    assert (attempt.status, attempt.error, attempt.response) == (204, None, None)
    assert attempt.seconds is not None


def test_every_try_sends_the_same_bytes_under_the_same_id(office: Office) -> None:
    with receiving(BROKEN, BROKEN, FINE) as receiver:
        endpoint_id, _ = office.subscribe(receiver.url)
        message_id = office.test(endpoint_id)
        for _ in range(3):
            office.deliver()
            office.clock.advance(minutes=10)
    first, second, third = receiver.received
    assert first.body == second.body == third.body
    assert {request.headers["webhook-id"] for request in receiver.received} == {str(message_id)}
    times = [int(request.headers["webhook-timestamp"]) for request in receiver.received]
    assert times == sorted(set(times)), "each try says when it is made"
    assert [request.headers["webhook-attempt"] for request in receiver.received] == ["1", "2", "3"]
    assert office.message(message_id).state is MessageState.DELIVERED
    assert [attempt.status for attempt in office.attempts(message_id)] == [500, 500, 204]
    assert office.attempts(message_id)[0].error == Failure.STATUS


def test_a_message_is_not_tried_before_it_is_due(office: Office) -> None:
    with receiving(BROKEN) as receiver:
        endpoint_id, _ = office.subscribe(receiver.url)
        office.test(endpoint_id)
        office.deliver()
        office.clock.advance(seconds=4)
        office.deliver()
        assert len(receiver.received) == 1
        office.clock.advance(seconds=2)
        office.deliver()
        assert len(receiver.received) == 2


def test_f38_a_receiver_that_stays_down_exhausts_the_message_which_can_be_sent_again(office: Office) -> None:
    office.see_to_direct()  # no breaker there
    with receiving(*[BROKEN] * MOST_TRIES, FINE) as receiver:
        held = factories.running(office.database, webhook_url=receiver.url, webhook_events=["job.started"])
        (message,) = office.messages()
        exhaust(office, message.id)
        office.deliver()
        assert len(receiver.received) == MOST_TRIES, "no further try"
        assert factories.read(office.database, held.job_id).status == "running", "the job knows nothing of it"
        with office.database.transaction() as session:
            outbox.resend_message(session, session.get_one(WebhookMessage, message.id))
        office.deliver()
    assert office.message(message.id).state is MessageState.DELIVERED
    assert len({(request.body, request.headers["webhook-id"]) for request in receiver.received}) == 1
    assert [attempt.number for attempt in office.attempts(message.id)] == list(range(1, MOST_TRIES + 2))


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
def test_f41_the_status_of_an_answer_decides(
    sqlite_database: Database, status: int, state: MessageState, error: Failure | None
) -> None:
    office = Office(sqlite_database)
    with receiving() as canary, receiving(answer(status, {"Location": canary.url})) as receiver:
        endpoint_id, _ = office.subscribe(receiver.url)
        message_id = office.test(endpoint_id)
        office.deliver()
    assert office.message(message_id).state is state
    assert office.attempts(message_id)[0].error == error
    assert canary.connections == 0


@pytest.mark.parametrize(
    ("advice", "least", "most"),
    [("600", 600, 601), ("1000000000", 86_400, 86_401), ("-5", 5, 6), ("NaN", 5, 6), ("0", 5, 6)],
)
def test_retry_after_puts_off_the_next_try_and_never_hastens_it(
    sqlite_database: Database, advice: str, least: float, most: float
) -> None:
    office = Office(sqlite_database)
    with receiving(answer(429, {"Retry-After": advice})) as receiver:
        endpoint_id, _ = office.subscribe(receiver.url)
        message_id = office.test(endpoint_id)
        office.deliver()
    began = office.attempts(message_id)[0].started_at
    waits = (office.message(message_id).next_at - began).total_seconds()
    assert least <= waits < most + 5, "a slow machine books late"


def test_a_secret_of_another_house_signs_nothing(office: Office, receiver: Receiver) -> None:
    endpoint_id, _ = office.subscribe(receiver.url)
    message_id = office.test(endpoint_id)
    courier = Deliverer(office.database, SecretCipher(b"another house"), LOOPBACK, clock=office.clock)
    office.deliver(courier)
    assert receiver.received == []
    assert office.attempts(message_id)[0].error == Failure.UNREADABLE


def test_f40_a_name_that_turns_inward_after_registration_reaches_nobody(office: Office) -> None:
    answers = iter(["93.184.215.14", "127.0.0.1", "127.0.0.1"])
    with receiving() as canary:
        rules = SsrfRules.of(Settings(webhook_http=True, webhook_ports=(str(canary.port),)))
        guard = SsrfGuard(rules, resolve=lambda *_: [ip_address(next(answers))], is_own=lambda _: False)
        url = guard.check(f"http://rebinding.example:{canary.port}/").url
        endpoint_id, _ = office.subscribe(url)
        message_id = office.test(endpoint_id)
        courier = office.courier(guard)
        office.deliver(courier)
        office.clock.advance(seconds=10)
        office.deliver(courier)
    assert canary.connections == 0
    assert [attempt.error for attempt in office.attempts(message_id)] == [Failure.NOT_ALLOWED] * 2
    assert [attempt.response for attempt in office.attempts(message_id)] == [None] * 2


def test_a_courier_that_closes_begins_nothing_more(office: Office) -> None:
    with receiving(tarpit) as receiver:
        endpoint_id, _ = office.subscribe(receiver.url)
        message_id = office.test(endpoint_id)
        courier = office.courier()
        assert courier.dispatch() == 1
        receiver.wait(1)
        assert courier.dispatch() == 0
        assert not courier.wait(0)
    assert courier.wait(30), "its receiver hung up"
    courier.close()
    assert office.message(message_id).tries == 1
