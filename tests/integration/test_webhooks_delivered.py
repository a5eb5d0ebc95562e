"""How messages get to their receivers, on both databases: tried by schedule, signed, fenced, and never lost."""

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from threading import Thread
from uuid import UUID

import pytest

from common.database import Database
from common.settings import Settings
from common.webhooks import claims, endpoints, messages, outcomes, sealing
from common.webhooks.claims import Delivery
from common.webhooks.courier import Courier
from common.webhooks.events import DisabledReason, EndpointStatus, Failure, MessageState
from common.webhooks.guard import Guard, Rules
from common.webhooks.models import WebhookEndpoint, WebhookMessage
from common.webhooks.outcomes import Outcome
from common.webhooks.schedule import MOST_TRIES
from common.webhooks.sealing import Sealer
from tests import factories
from tests.receivers import Receiver, answer, receiving, tarpit
from tests.webhooks import LOOPBACK, Office

BROKEN = answer(500, {"Content-Type": "text/plain"}, b"out of order")
FINE = answer(204)
CLAIMERS = 6


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def claim(office: Office, room: int = 100, threads: int = 100) -> list[Delivery]:
    with office.database.transaction() as session:
        return claims.claim(session, office.clock(session), room, threads=threads)


def record(office: Office, delivery: Delivery, outcome: Outcome) -> MessageState | None:
    with office.database.transaction() as session:
        return outcomes.record(session, delivery, outcome, office.clock(session))


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


def test_a_receiver_that_stays_down_exhausts_the_message_which_can_be_sent_again(office: Office) -> None:
    office.see_to_direct()  # no breaker there
    with receiving(*[BROKEN] * MOST_TRIES, FINE) as receiver:
        held = factories.running(office.database, webhook_url=receiver.url, webhook_events=["job.started"])
        (message,) = office.messages()
        exhaust(office, message.id)
        office.deliver()
        assert len(receiver.received) == MOST_TRIES, "no further try"
        assert factories.read(office.database, held.job_id).status == "running", "the job knows nothing of it"
        with office.database.transaction() as session:
            messages.resend(session, session.get_one(WebhookMessage, message.id))
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
def test_the_status_of_an_answer_decides(
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


def test_a_receiver_that_asks_for_time_is_left_alone_with_all_messages(office: Office) -> None:
    with receiving(answer(503, {"Retry-After": "600"}), FINE) as receiver:
        endpoint_id, _ = office.subscribe(receiver.url)
        office.test(endpoint_id)
        office.deliver()
        office.test(endpoint_id)
        office.clock.advance(seconds=590)
        office.deliver()
        assert len(receiver.received) == 1
        office.clock.advance(seconds=30)
        office.deliver()
        assert len(receiver.received) == 3


def test_a_receiver_that_jobs_name_and_that_asks_for_time_is_left_alone_too(office: Office) -> None:
    office.see_to_direct()
    with receiving(answer(429, {"Retry-After": "600"}), FINE) as busy, receiving() as other:
        for url in (busy.url, f"{busy.url}/2", f"{busy.url}/3", f"{busy.url}/4", other.url):
            factories.running(office.database, webhook_url=url, webhook_events=["job.started"])
        office.deliver(office.courier(threads=1))
        assert len(other.received) == 1
        before = len(busy.received)
        assert before == 1
        office.clock.advance(seconds=610)
        office.deliver()
        assert len(busy.received) == 5


def test_410_disables_the_endpoint_and_cancels_what_waits(office: Office) -> None:
    with receiving(answer(410)) as receiver:
        endpoint_id, _ = office.subscribe(receiver.url)
        first = office.test(endpoint_id)
        office.deliver()
    endpoint = office.endpoint(endpoint_id)
    assert (endpoint.status, endpoint.disabled_reason) == (EndpointStatus.DISABLED, DisabledReason.GONE)
    assert office.message(first).state is MessageState.CANCELED
    factories.running(office.database)
    assert len(office.messages()) == 1, "nothing is owed to it any more"


def test_410_from_the_receiver_of_one_job_leaves_the_others_alone(office: Office) -> None:
    office.see_to_direct()
    with receiving(answer(410)) as receiver:
        factories.running(office.database, webhook_url=receiver.url, webhook_events=["job.started"])
        office.deliver()
    (message,) = office.messages()
    assert message.state is MessageState.CANCELED
    assert office.endpoint(message.endpoint_id).status is EndpointStatus.ENABLED


def test_an_endpoint_that_fails_is_left_alone_and_after_a_day_given_up(office: Office) -> None:
    with receiving(BROKEN) as receiver:
        endpoint_id, _ = office.subscribe(receiver.url)
        for _ in range(6):
            office.test(endpoint_id)
        office.deliver()
        tries = len(receiver.received)
        assert tries <= 3, "two failures, perhaps a third under way, and then it is left alone"
        endpoint = office.endpoint(endpoint_id)
        assert endpoint.failures == tries
        assert endpoint.resume_at is not None
        assert {message.next_at for message in office.messages()} >= {endpoint.resume_at}
        for _ in range(12):
            office.clock.advance(hours=2.5)
            office.deliver()
        endpoint = office.endpoint(endpoint_id)
        assert (endpoint.status, endpoint.disabled_reason) == (EndpointStatus.DISABLED, DisabledReason.FAILING)
        assert {message.state for message in office.messages()} == {MessageState.CANCELED}
        tries = len(receiver.received)
        office.clock.advance(days=2)
        office.deliver()
        assert len(receiver.received) == tries


def test_an_endpoint_that_is_enabled_again_gets_what_it_missed_when_asked(office: Office, receiver: Receiver) -> None:
    endpoint_id, _ = office.subscribe(receiver.url)
    missed = [office.test(endpoint_id) for _ in range(3)]
    with office.database.transaction() as session:
        row = session.get_one(WebhookEndpoint, endpoint_id)
        endpoints.disable(session, row, DisabledReason.FAILING)
    office.deliver()
    assert receiver.received == []
    with office.database.transaction() as session:
        row = session.get_one(WebhookEndpoint, endpoint_id)
        endpoints.enable(row)
        since = row.created_at
        assert messages.resend_all(session, row, since, since, delivered=False) == 0
        assert messages.resend_all(session, row, since, None, delivered=False) == 3
    office.deliver()
    assert {UUID(request.headers["webhook-id"]) for request in receiver.received} == set(missed)


def test_one_success_forgives_all_failures(office: Office) -> None:
    with receiving(BROKEN, BROKEN, FINE) as receiver:
        endpoint_id, _ = office.subscribe(receiver.url)
        office.test(endpoint_id)
        for _ in range(3):
            office.deliver()
            office.clock.advance(minutes=10)
        endpoint = office.endpoint(endpoint_id)
    assert (endpoint.failures, endpoint.failing_since, endpoint.resume_at) == (0, None, None)


def test_during_a_rotation_both_secrets_verify_and_afterwards_the_new_one_alone(
    office: Office, receiver: Receiver
) -> None:
    endpoint_id, old = office.subscribe(receiver.url)
    with office.database.transaction() as session:
        row = session.get_one(WebhookEndpoint, endpoint_id)
        new = sealing.spell(
            endpoints.rotate(session, Sealer(b"the signing secret of the tests"), row, timedelta(hours=1))
        )
    office.test(endpoint_id)
    office.deliver()
    for secret in (old, new):
        receiver.received[0].verify(secret)
    office.clock.advance(hours=2)
    office.test(endpoint_id)
    office.deliver()
    assert len(receiver.received[1].headers["webhook-signature"].split(" ")) == 1


def test_a_secret_of_another_house_signs_nothing(office: Office, receiver: Receiver) -> None:
    endpoint_id, _ = office.subscribe(receiver.url)
    message_id = office.test(endpoint_id)
    courier = Courier(office.database, Sealer(b"another house"), LOOPBACK, clock=office.clock)
    office.deliver(courier)
    assert receiver.received == []
    assert office.attempts(message_id)[0].error == Failure.UNREADABLE


def test_a_name_that_turns_inward_after_registration_reaches_nobody(office: Office) -> None:
    answers = iter(["93.184.215.14", "127.0.0.1", "127.0.0.1"])
    with receiving() as canary:
        rules = Rules.of(Settings(webhook_http=True, webhook_ports=(str(canary.port),)))
        guard = Guard(rules, resolve=lambda *_: [ip_address(next(answers))], is_own=lambda _: False)
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


def test_a_sender_that_dies_before_it_can_tell_is_followed_by_another(office: Office, receiver: Receiver) -> None:
    endpoint_id, secret = office.subscribe(receiver.url)
    message_id = office.test(endpoint_id)
    (dead,) = claim(office)
    office.courier().attempt(dead)
    office.deliver()
    assert len(receiver.received) == 1, "it is still leased"
    office.clock.advance(seconds=61)
    office.deliver()
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    for request in receiver.received:
        request.verify(secret)
    assert record(office, dead, Outcome(1.0, Failure.TIMEOUT)) is None, "it comes too late"
    assert office.message(message_id).state is MessageState.DELIVERED
    assert office.endpoint(endpoint_id).failures == 0


def test_what_a_dead_sender_held_is_called_interrupted(office: Office, receiver: Receiver) -> None:
    endpoint_id, _ = office.subscribe(receiver.url)
    message_id = office.test(endpoint_id)
    claim(office)
    office.clock.advance(seconds=61)
    office.deliver()
    assert [attempt.error for attempt in office.attempts(message_id)] == [Failure.INTERRUPTED, None]


def test_several_clerks_claim_each_message_once_and_no_receiver_gets_more_than_two_at_once(office: Office) -> None:
    endpoint_ids = [office.subscribe(f"http://127.0.0.1/{number}", f"owner{number % 4}")[0] for number in range(10)]
    for endpoint_id in endpoint_ids:
        for _ in range(4):
            office.test(endpoint_id)
    claimed: list[list[Delivery]] = []
    threads = [Thread(target=lambda: claimed.append(claim(office, room=7))) for _ in range(CLAIMERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [delivery for some in claimed for delivery in some]
    assert len({delivery.message_id for delivery in taken}) == len(taken) == 20
    for endpoint_id in endpoint_ids:
        assert sum(delivery.endpoint_id == endpoint_id for delivery in taken) == 2


def test_one_owner_has_a_quarter_of_the_senders_at_most(office: Office) -> None:
    for owner, number in [("ada", number) for number in range(10)] + [("grace", 1)]:
        office.test(office.subscribe(f"http://127.0.0.1/{number}", owner)[0])
    owners = [office.message(delivery.message_id).owner for delivery in claim(office, room=16, threads=16)]
    assert sorted(owners) == ["ada"] * 4 + ["grace"]
    assert claim(office, room=16, threads=16) == []


def test_a_message_of_a_disabled_endpoint_is_canceled_instead_of_sent(office: Office, receiver: Receiver) -> None:
    endpoint_id, _ = office.subscribe(receiver.url)
    message_id = office.test(endpoint_id)
    with office.database.transaction() as session:
        session.get_one(WebhookEndpoint, endpoint_id).status = EndpointStatus.DISABLED
    office.deliver()
    assert office.message(message_id).state is MessageState.CANCELED
    assert receiver.connections == 0


def test_an_endpoint_deleted_under_way_leaves_nothing_behind(office: Office, receiver: Receiver) -> None:
    endpoint_id, _ = office.subscribe(receiver.url)
    office.test(endpoint_id)
    (delivery,) = claim(office)
    with office.database.transaction() as session:
        endpoints.remove(session, session.get_one(WebhookEndpoint, endpoint_id))
    assert record(office, delivery, Outcome(1.0, None, 204)) is None
    assert office.messages() == []


def test_old_messages_are_forgotten_but_not_those_that_wait(office: Office, receiver: Receiver) -> None:
    endpoint_id, _ = office.subscribe(receiver.url)
    done = office.test(endpoint_id)
    office.deliver()
    waiting = office.test(endpoint_id)
    with office.database.transaction() as session:
        for message_id in (done, waiting):
            session.get_one(WebhookMessage, message_id).created_at -= timedelta(days=31)
    with office.database.transaction() as session:
        assert messages.forget_old(session, 30) == 1
    assert [message.id for message in office.messages()] == [waiting]
    assert office.attempts(done) == []


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
