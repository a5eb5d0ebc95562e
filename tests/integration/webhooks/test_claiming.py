"""Who tries a message, on both databases: one sender at a time, fenced by the number of the try."""

from datetime import timedelta
from threading import Thread

from common.tables import WebhookEndpoint, WebhookMessage
from common.tables.webhook_states import EndpointStatus, Failure, MessageState
from common.webhooks import endpoints, outbox
from common.webhooks.claiming import Delivery
from common.webhooks.outcomes import DeliveryOutcome
from tests.support.servers.webhook_receivers import Receiver
from tests.support.webhook_fixture import Office

CLAIMERS = 6


def test_a_sender_that_dies_before_it_can_tell_is_followed_by_another(office: Office, receiver: Receiver) -> None:
    endpoint_id, secret = office.subscribe(receiver.url)
    message_id = office.test(endpoint_id)
    (dead,) = office.claim()
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
    assert office.record(dead, DeliveryOutcome(1.0, Failure.TIMEOUT)) is None, "it comes too late"
    assert office.message(message_id).state is MessageState.DELIVERED
    assert office.endpoint(endpoint_id).failures == 0


def test_what_a_dead_sender_held_is_called_interrupted(office: Office, receiver: Receiver) -> None:
    endpoint_id, _ = office.subscribe(receiver.url)
    message_id = office.test(endpoint_id)
    office.claim()
    office.clock.advance(seconds=61)
    office.deliver()
    assert [attempt.error for attempt in office.attempts(message_id)] == [Failure.INTERRUPTED, None]


def test_several_clerks_claim_each_message_once_and_no_receiver_gets_more_than_two_at_once(office: Office) -> None:
    endpoint_ids = [office.subscribe(f"http://127.0.0.1/{number}", f"owner{number % 4}")[0] for number in range(10)]
    for endpoint_id in endpoint_ids:
        for _ in range(4):
            office.test(endpoint_id)
    claimed: list[list[Delivery]] = []
    threads = [Thread(target=lambda: claimed.append(office.claim(room=7))) for _ in range(CLAIMERS)]
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
    owners = [office.message(delivery.message_id).owner for delivery in office.claim(room=16, threads=16)]
    assert sorted(owners) == ["ada"] * 4 + ["grace"]
    assert office.claim(room=16, threads=16) == []


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
    (delivery,) = office.claim()
    with office.database.transaction() as session:
        endpoints.delete_endpoint(session, session.get_one(WebhookEndpoint, endpoint_id))
    assert office.record(delivery, DeliveryOutcome(1.0, None, 204)) is None
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
        assert outbox.delete_old_messages(session, 30) == 1
    assert [message.id for message in office.messages()] == [waiting]
    assert office.attempts(done) == []
