"""Claims of messages, on both databases: one sender at a time, fenced by the number of the attempt."""

from datetime import timedelta
from threading import Thread

from common.clerk import retention
from common.states.webhooks import EndpointStatus, Failure, MessageState
from common.tables import WebhookEndpoint, WebhookMessage
from common.webhooks import endpoints
from common.webhooks.claiming import Delivery
from common.webhooks.outcomes import DeliveryOutcome
from tests.support.servers.webhook_receivers import Receiver
from tests.support.webhook_fixture import WebhookFixture

CLAIMERS = 6


def test_a_message_whose_sender_dies_is_claimed_by_another(webhook_fixture: WebhookFixture, receiver: Receiver) -> None:
    endpoint_id, secret = webhook_fixture.subscribe(receiver.url)
    message_id = webhook_fixture.test(endpoint_id)
    (dead,) = webhook_fixture.claim()
    webhook_fixture.create_deliverer().attempt(dead)
    webhook_fixture.deliver()
    assert len(receiver.received) == 1, "it is still leased"
    webhook_fixture.clock.advance(seconds=61)
    webhook_fixture.deliver()
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    for request in receiver.received:
        request.verify(secret)
    assert webhook_fixture.record(dead, DeliveryOutcome(1.0, Failure.TIMEOUT)) is None, "it comes too late"
    assert webhook_fixture.message(message_id).state is MessageState.DELIVERED
    assert webhook_fixture.endpoint(endpoint_id).failures == 0


def test_attempts_of_a_dead_sender_are_marked_as_interrupted(
    webhook_fixture: WebhookFixture, receiver: Receiver
) -> None:
    endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
    message_id = webhook_fixture.test(endpoint_id)
    webhook_fixture.claim()
    webhook_fixture.clock.advance(seconds=61)
    webhook_fixture.deliver()
    assert [attempt.error for attempt in webhook_fixture.attempts(message_id)] == [Failure.INTERRUPTED, None]


def test_several_clerks_claim_each_message_once_and_no_receiver_gets_more_than_two_at_once(
    webhook_fixture: WebhookFixture,
) -> None:
    endpoint_ids = [
        webhook_fixture.subscribe(f"http://127.0.0.1/{number}", f"owner{number % 4}")[0] for number in range(10)
    ]
    for endpoint_id in endpoint_ids:
        for _ in range(4):
            webhook_fixture.test(endpoint_id)
    claimed: list[list[Delivery]] = []
    threads = [Thread(target=lambda: claimed.append(webhook_fixture.claim(room=7))) for _ in range(CLAIMERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [delivery for some in claimed for delivery in some]
    assert len({delivery.message_id for delivery in taken}) == len(taken) == 20
    for endpoint_id in endpoint_ids:
        assert sum(delivery.endpoint_id == endpoint_id for delivery in taken) == 2


def test_one_owner_gets_at_most_a_quarter_of_the_senders(webhook_fixture: WebhookFixture) -> None:
    for owner, number in [("ada", number) for number in range(10)] + [("grace", 1)]:
        webhook_fixture.test(webhook_fixture.subscribe(f"http://127.0.0.1/{number}", owner)[0])
    owners = [
        webhook_fixture.message(delivery.message_id).owner for delivery in webhook_fixture.claim(room=16, threads=16)
    ]
    assert sorted(owners) == ["ada"] * 4 + ["grace"]
    assert webhook_fixture.claim(room=16, threads=16) == []


def test_a_message_of_a_disabled_endpoint_is_canceled_instead_of_sent(
    webhook_fixture: WebhookFixture, receiver: Receiver
) -> None:
    endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
    message_id = webhook_fixture.test(endpoint_id)
    with webhook_fixture.database.transaction() as session:
        session.get_one(WebhookEndpoint, endpoint_id).status = EndpointStatus.DISABLED
    webhook_fixture.deliver()
    assert webhook_fixture.message(message_id).state is MessageState.CANCELED
    assert receiver.connections == 0


def test_an_endpoint_deleted_under_way_leaves_nothing_behind(
    webhook_fixture: WebhookFixture, receiver: Receiver
) -> None:
    endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
    webhook_fixture.test(endpoint_id)
    (delivery,) = webhook_fixture.claim()
    with webhook_fixture.database.transaction() as session:
        endpoints.delete_endpoint(session, session.get_one(WebhookEndpoint, endpoint_id))
    assert webhook_fixture.record(delivery, DeliveryOutcome(1.0, None, 204)) is None
    assert webhook_fixture.messages() == []


def test_old_messages_are_deleted_but_pending_ones_are_kept(
    webhook_fixture: WebhookFixture, receiver: Receiver
) -> None:
    endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
    done = webhook_fixture.test(endpoint_id)
    webhook_fixture.deliver()
    waiting = webhook_fixture.test(endpoint_id)
    with webhook_fixture.database.transaction() as session:
        for message_id in (done, waiting):
            session.get_one(WebhookMessage, message_id).created_at -= timedelta(days=31)
    assert retention.delete_messages(webhook_fixture.database, 30) == 1
    assert [message.id for message in webhook_fixture.messages()] == [waiting]
    assert webhook_fixture.attempts(done) == []
