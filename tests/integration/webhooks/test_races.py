"""Everything that may be done to webhooks at once, on both databases: no deadlock, no fault, nothing sent by two."""

import random
from collections.abc import Callable
from threading import Thread

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.db.engine import Database
from common.jobs import lifecycle
from common.states.webhooks import JOB_EVENTS, DisabledReason, Failure
from common.tables import WebhookEndpoint, WebhookMessage
from common.webhooks import claiming, endpoints, outbox, outcomes
from common.webhooks.claiming import Delivery
from common.webhooks.outcomes import DeliveryOutcome
from tests.support import factories
from tests.support.webhook_fixture import SEALER, WebhookFixture

ROUNDS = 40
OUTCOMES = [
    DeliveryOutcome(0.1, None, 204),
    DeliveryOutcome(0.1, Failure.STATUS, 500),
    DeliveryOutcome(0.1, Failure.STATUS, 429, retry_after="1"),
    DeliveryOutcome(0.1, Failure.GONE, 410),
]


class ConcurrentWorkers:
    """Threads that each do one thing again and again; what goes wrong is kept."""

    def __init__(self, webhook_fixture: WebhookFixture) -> None:
        self.webhook_fixture = webhook_fixture
        self.database = webhook_fixture.database
        self.faults: list[Exception] = []
        self.taken: list[Delivery] = []

    def run(self, *deeds: Callable[[random.Random], None]) -> None:
        threads = [Thread(target=self._repeat, args=(deed, seed)) for seed, deed in enumerate(deeds)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _repeat(self, deed: Callable[[random.Random], None], seed: int) -> None:
        dice = random.Random(seed)
        try:
            for _ in range(ROUNDS):
                deed(dice)
        except Exception as error:  # noqa: BLE001  (told by the test)
            self.faults.append(error)

    def deliver(self, dice: random.Random) -> None:
        with self.database.transaction() as session:
            taken = claiming.claim_deliveries(session, self.webhook_fixture.clock(session), 8, threads=100)
        while taken:
            delivery = taken.pop()
            self.taken.append(delivery)
            with self.database.transaction() as session:
                moment = self.webhook_fixture.clock(session)
                outcomes.record_outcome(session, delivery, dice.choice(OUTCOMES), moment)
                taken += claiming.claim_deliveries(session, moment, 1, threads=100) if dice.random() < 0.5 else []

    def finish_a_job(self, dice: random.Random) -> None:
        job = factories.submit(self.database)
        with self.database.transaction() as session:
            lifecycle.cancel_job(session, session.get_one(lifecycle.Job, job.id))

    def switch(self, dice: random.Random) -> None:
        with self.database.transaction() as session:
            row = self._pick(session, dice)
            if row is not None:
                if dice.random() < 0.3:
                    endpoints.disable_endpoint(session, row, DisabledReason.OWNER)
                else:
                    endpoints.enable_endpoint(row)

    def resend(self, dice: random.Random) -> None:
        with self.database.transaction() as session:
            row = self._pick(session, dice)
            if row is not None:
                outbox.resend_messages(session, row, row.created_at, None, delivered=True)

    def replace(self, dice: random.Random) -> None:
        with self.database.transaction() as session:
            row = self._pick(session, dice)
            if row is not None:
                endpoints.delete_endpoint(session, row)
        with self.database.transaction() as session:
            fields = endpoints.NewEndpoint("ada", f"https://hooks.example/{dice.random()}", JOB_EVENTS)
            endpoints.create_endpoint(session, SEALER, fields, most=1000)

    def _pick(self, session: Session, dice: random.Random) -> WebhookEndpoint | None:
        ids = session.scalars(select(WebhookEndpoint.id)).all()
        return endpoints.find_endpoint(session, "ada", dice.choice(ids), to_change=True) if ids else None


@pytest.mark.timeout(300)
def test_concurrent_webhook_actions_never_deadlock_or_deliver_an_attempt_twice(database: Database) -> None:
    webhook_fixture = WebhookFixture(database)
    for number in range(4):
        webhook_fixture.subscribe(f"https://hooks.example/{number}")
    workers = ConcurrentWorkers(webhook_fixture)
    workers.run(
        *(workers.deliver,) * 3,
        *(workers.finish_a_job,) * 2,
        workers.switch,
        workers.resend,
        workers.replace,
        workers.replace,
    )
    assert workers.faults == []
    tries = [(delivery.message_id, delivery.number) for delivery in workers.taken]
    assert len(tries) == len(set(tries)) > 0
    with database.reading() as session:
        for message in session.scalars(select(WebhookMessage)):
            assert [attempt.number for attempt in webhook_fixture.attempts(message.id)] == list(
                range(1, message.tries + 1)
            )
