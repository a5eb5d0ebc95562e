"""How endpoints fare, on both databases: left alone, given up, forgiven, and given new secrets."""

from datetime import timedelta
from uuid import UUID

from common.tables import WebhookEndpoint
from common.tables.webhook_states import DisabledReason, EndpointStatus, MessageState
from common.webhooks import endpoints, outbox, signing_secrets
from common.webhooks.signing_secrets import SecretCipher
from tests.support import factories
from tests.support.servers.webhook_receivers import Receiver, answer, receiving
from tests.support.webhook_fixture import Office

BROKEN = answer(500, {"Content-Type": "text/plain"}, b"out of order")
FINE = answer(204)


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
        endpoints.disable_endpoint(session, row, DisabledReason.FAILING)
    office.deliver()
    assert receiver.received == []
    with office.database.transaction() as session:
        row = session.get_one(WebhookEndpoint, endpoint_id)
        endpoints.enable_endpoint(row)
        since = row.created_at
        assert outbox.resend_messages(session, row, since, since, delivered=False) == 0
        assert outbox.resend_messages(session, row, since, None, delivered=False) == 3
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
        new = signing_secrets.format_secret(
            endpoints.rotate_secret(session, SecretCipher(b"the signing secret of the tests"), row, timedelta(hours=1))
        )
    office.test(endpoint_id)
    office.deliver()
    for secret in (old, new):
        receiver.received[0].verify(secret)
    office.clock.advance(hours=2)
    office.test(endpoint_id)
    office.deliver()
    assert len(receiver.received[1].headers["webhook-signature"].split(" ")) == 1
