"""How endpoints fare, on both databases: left alone, given up, forgiven, and given new secrets."""

from datetime import timedelta
from uuid import UUID

from common.states.webhooks import DisabledReason, EndpointStatus, MessageState
from common.tables import WebhookEndpoint
from common.webhooks import endpoints, outbox, signing_secrets
from common.webhooks.signing_secrets import SecretCipher
from tests.support import factories
from tests.support.servers.webhook_receivers import Receiver, answer, receiving
from tests.support.webhook_fixture import WebhookFixture

BROKEN = answer(500, {"Content-Type": "text/plain"}, b"out of order")
FINE = answer(204)


def test_retry_after_pauses_all_messages_to_a_receiver(webhook_fixture: WebhookFixture) -> None:
    with receiving(answer(503, {"Retry-After": "600"}), FINE) as receiver:
        endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
        webhook_fixture.test(endpoint_id)
        webhook_fixture.deliver()
        webhook_fixture.test(endpoint_id)
        webhook_fixture.clock.advance(seconds=590)
        webhook_fixture.deliver()
        assert len(receiver.received) == 1
        webhook_fixture.clock.advance(seconds=30)
        webhook_fixture.deliver()
        assert len(receiver.received) == 3


def test_retry_after_pauses_a_receiver_named_by_jobs_too(webhook_fixture: WebhookFixture) -> None:
    webhook_fixture.ensure_direct_endpoint()
    with receiving(answer(429, {"Retry-After": "600"}), FINE) as busy, receiving() as other:
        for url in (busy.url, f"{busy.url}/2", f"{busy.url}/3", f"{busy.url}/4", other.url):
            factories.running(webhook_fixture.database, webhook_url=url, webhook_events=["job.started"])
        webhook_fixture.deliver(webhook_fixture.create_deliverer(threads=1))
        assert len(other.received) == 1
        before = len(busy.received)
        assert before == 1
        webhook_fixture.clock.advance(seconds=610)
        webhook_fixture.deliver()
        assert len(busy.received) == 5


def test_410_disables_the_endpoint_and_cancels_its_pending_messages(webhook_fixture: WebhookFixture) -> None:
    with receiving(answer(410)) as receiver:
        endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
        first = webhook_fixture.test(endpoint_id)
        webhook_fixture.deliver()
    endpoint = webhook_fixture.endpoint(endpoint_id)
    assert (endpoint.status, endpoint.disabled_reason) == (EndpointStatus.DISABLED, DisabledReason.GONE)
    assert webhook_fixture.message(first).state is MessageState.CANCELED
    factories.running(webhook_fixture.database)
    assert len(webhook_fixture.messages()) == 1, "nothing is owed to it any more"


def test_410_from_the_receiver_of_one_job_leaves_the_others_alone(webhook_fixture: WebhookFixture) -> None:
    webhook_fixture.ensure_direct_endpoint()
    with receiving(answer(410)) as receiver:
        factories.running(webhook_fixture.database, webhook_url=receiver.url, webhook_events=["job.started"])
        webhook_fixture.deliver()
    (message,) = webhook_fixture.messages()
    assert message.state is MessageState.CANCELED
    assert webhook_fixture.endpoint(message.endpoint_id).status is EndpointStatus.ENABLED


def test_a_failing_endpoint_is_paused_and_after_a_day_disabled(webhook_fixture: WebhookFixture) -> None:
    with receiving(BROKEN) as receiver:
        endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
        for _ in range(6):
            webhook_fixture.test(endpoint_id)
        webhook_fixture.deliver()
        tries = len(receiver.received)
        assert tries <= 3, "two failures, perhaps a third under way, and then it is left alone"
        endpoint = webhook_fixture.endpoint(endpoint_id)
        assert endpoint.failures == tries
        assert endpoint.resume_at is not None
        assert {message.next_at for message in webhook_fixture.messages()} >= {endpoint.resume_at}
        for _ in range(12):
            webhook_fixture.clock.advance(hours=2.5)
            webhook_fixture.deliver()
        endpoint = webhook_fixture.endpoint(endpoint_id)
        assert (endpoint.status, endpoint.disabled_reason) == (EndpointStatus.DISABLED, DisabledReason.FAILING)
        assert {message.state for message in webhook_fixture.messages()} == {MessageState.CANCELED}
        tries = len(receiver.received)
        webhook_fixture.clock.advance(days=2)
        webhook_fixture.deliver()
        assert len(receiver.received) == tries


def test_an_endpoint_that_is_enabled_again_gets_what_it_missed_when_asked(
    webhook_fixture: WebhookFixture, receiver: Receiver
) -> None:
    endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
    missed = [webhook_fixture.test(endpoint_id) for _ in range(3)]
    with webhook_fixture.database.transaction() as session:
        row = session.get_one(WebhookEndpoint, endpoint_id)
        endpoints.disable_endpoint(session, row, DisabledReason.FAILING)
    webhook_fixture.deliver()
    assert receiver.received == []
    with webhook_fixture.database.transaction() as session:
        row = session.get_one(WebhookEndpoint, endpoint_id)
        endpoints.enable_endpoint(row)
        since = row.created_at
        assert outbox.resend_messages(session, row, since, since, delivered=False) == 0
        assert outbox.resend_messages(session, row, since, None, delivered=False) == 3
    webhook_fixture.deliver()
    assert {UUID(request.headers["webhook-id"]) for request in receiver.received} == set(missed)


def test_one_success_resets_the_failure_count(webhook_fixture: WebhookFixture) -> None:
    with receiving(BROKEN, BROKEN, FINE) as receiver:
        endpoint_id, _ = webhook_fixture.subscribe(receiver.url)
        webhook_fixture.test(endpoint_id)
        for _ in range(3):
            webhook_fixture.deliver()
            webhook_fixture.clock.advance(minutes=10)
        endpoint = webhook_fixture.endpoint(endpoint_id)
    assert (endpoint.failures, endpoint.failing_since, endpoint.resume_at) == (0, None, None)


def test_during_a_rotation_both_secrets_verify_and_afterwards_the_new_one_alone(
    webhook_fixture: WebhookFixture, receiver: Receiver
) -> None:
    endpoint_id, old = webhook_fixture.subscribe(receiver.url)
    with webhook_fixture.database.transaction() as session:
        row = session.get_one(WebhookEndpoint, endpoint_id)
        new = signing_secrets.format_secret(
            endpoints.rotate_secret(session, SecretCipher(b"the signing secret of the tests"), row, timedelta(hours=1))
        )
    webhook_fixture.test(endpoint_id)
    webhook_fixture.deliver()
    for secret in (old, new):
        receiver.received[0].verify(secret)
    webhook_fixture.clock.advance(hours=2)
    webhook_fixture.test(endpoint_id)
    webhook_fixture.deliver()
    assert len(receiver.received[1].headers["webhook-signature"].split(" ")) == 1
