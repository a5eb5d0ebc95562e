"""One receiver that never answers, beside fifty that do: nobody waits for it."""

from contextlib import ExitStack

import pytest

from common.clock import utcnow
from common.db.engine import Database
from common.states.webhooks import MessageState
from common.webhooks.transport import Timeouts
from tests.support.servers.webhook_receivers import receiving, tarpit
from tests.support.webhook_fixture import WebhookFixture

GOOD, EACH, BAD = 50, 2, 12
LOOK_SECONDS = 0.05
PATIENT = Timeouts(total=50)
"""So that the slow one is not cut off while the test looks, however busy the machine is."""


@pytest.mark.parametrize("same_owner", [True, False], ids=["of the same owner", "of other owners"])
def test_f39_fifty_receivers_get_everything_while_one_holds_its_two_connections(
    database: Database, same_owner: bool
) -> None:
    webhook_fixture = WebhookFixture(database)
    with ExitStack() as stack:
        slow = stack.enter_context(receiving(tarpit))
        good = stack.enter_context(receiving())
        slow_id, _ = webhook_fixture.subscribe(slow.url, "mallory")
        for _ in range(BAD):
            webhook_fixture.test(slow_id)
        owners = ["mallory" if same_owner else f"owner{number}" for number in range(GOOD)]
        ids = [webhook_fixture.subscribe(f"{good.url}/{number}", owner)[0] for number, owner in enumerate(owners)]
        wanted = [webhook_fixture.test(endpoint_id) for endpoint_id in ids for _ in range(EACH)]
        deliverer, began = webhook_fixture.create_deliverer(limits=PATIENT), utcnow()
        while len(good.received) < len(wanted):
            deliverer.dispatch()
            good.wait(min(len(wanted), len(good.received) + 1))
            # Whatever the good ones got, they got while the slow one had not answered anything.
            assert len(slow.received) <= 2
        assert {message.state for message in webhook_fixture.messages() if message.endpoint_id == slow_id} == {
            MessageState.PENDING
        }
    assert deliverer.wait(60)
    assert {request.headers["webhook-id"] for request in good.received} == {str(message_id) for message_id in wanted}
    assert 1 <= slow.connections <= 2
    waits = sorted((request.at - began).total_seconds() for request in good.received)
    p50, p99 = (waits[int(share * (len(waits) - 1))] for share in (0.5, 0.99))
    print(f"with all owed at once, sent after {p50:.2f} s (p50), {p99:.2f} s (p99), {waits[-1]:.2f} s (the last)")
