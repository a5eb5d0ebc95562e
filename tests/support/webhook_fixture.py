"""Webhooks for tests: endpoints of receivers on this machine, and a deliverer whose clock can be set forward."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.db import clock
from common.db.engine import Database
from common.settings import Settings
from common.states.webhooks import JOB_EVENTS, EventType, MessageState
from common.tables import WebhookAttempt, WebhookEndpoint, WebhookMessage
from common.webhooks import claiming, endpoints, outbox, outcomes, signing_secrets
from common.webhooks.claiming import Delivery
from common.webhooks.deliverer import Deliverer
from common.webhooks.endpoints import NewEndpoint
from common.webhooks.outcomes import DeliveryOutcome
from common.webhooks.signing_secrets import SecretCipher
from common.webhooks.ssrf_guard import SsrfGuard, SsrfRules
from common.webhooks.transport import Timeouts, Transport

SEALER = SecretCipher(b"the signing secret of the tests")
PATIENCE_SECONDS = 60
LOOPBACK = SsrfGuard(SsrfRules.of(Settings(webhook_allow=("127.0.0.1",))))


@dataclass
class Clock:
    """The database's clock, set forward."""

    ahead: timedelta = timedelta()

    def __call__(self, session: Session) -> datetime:
        return clock.fetch_now(session) + self.ahead

    def advance(self, **by: float) -> None:
        self.ahead += timedelta(**by)


@dataclass
class WebhookFixture:
    """A database with endpoints, and a deliverer."""

    database: Database
    clock: Clock = field(default_factory=Clock)

    def create_deliverer(
        self, guard: SsrfGuard = LOOPBACK, limits: Timeouts | None = None, threads: int = 32
    ) -> Deliverer:
        transport = Transport(limits=limits)
        return Deliverer(self.database, SEALER, guard, transport, threads=threads, clock=self.clock)

    def subscribe(
        self, url: str, owner: str = "ada", events: Sequence[EventType] = JOB_EVENTS, most: int = 1000
    ) -> tuple[UUID, str]:
        """Insert an endpoint; return its id and its secret."""
        with self.database.transaction() as session:
            fields = NewEndpoint(owner, url, events)
            row, secret = endpoints.create_endpoint(session, SEALER, fields, most)
        return row.id, signing_secrets.format_secret(secret)

    def ensure_direct_endpoint(self, owner: str = "ada") -> None:
        with self.database.transaction() as session:
            endpoints.ensure_direct_endpoint(session, SEALER, owner)

    def test(self, endpoint_id: UUID) -> UUID:
        """Queue a test message for an endpoint; return its id."""
        with self.database.transaction() as session:
            return outbox.publish_test_event(session, session.get_one(WebhookEndpoint, endpoint_id)).id

    def deliver(self, deliverer: Deliverer | None = None) -> None:
        """Deliver all that is due now."""
        deliverer = deliverer or self.create_deliverer()
        while deliverer.dispatch():
            assert deliverer.wait(PATIENCE_SECONDS)

    def claim(self, room: int = 100, threads: int = 100) -> list[Delivery]:
        """Claim the due messages, as a deliverer would."""
        with self.database.transaction() as session:
            return claiming.claim_deliveries(session, self.clock(session), room, threads=threads)

    def record(self, delivery: Delivery, outcome: DeliveryOutcome) -> MessageState | None:
        """Record the outcome of an attempt, as a deliverer would."""
        with self.database.transaction() as session:
            return outcomes.record_outcome(session, delivery, outcome, self.clock(session))

    def endpoint(self, endpoint_id: UUID) -> WebhookEndpoint:
        with self.database.reading() as session:
            return session.get_one(WebhookEndpoint, endpoint_id)

    def message(self, message_id: UUID) -> WebhookMessage:
        with self.database.reading() as session:
            return session.get_one(WebhookMessage, message_id)

    def messages(self) -> list[WebhookMessage]:
        with self.database.reading() as session:
            return list(session.scalars(select(WebhookMessage).order_by(WebhookMessage.id)))

    def told(self) -> list[tuple[str, str]]:
        """Return owner and event of each message, in the order in which they were queued."""
        return [(message.owner, message.event) for message in self.messages()]

    def attempts(self, message_id: UUID) -> list[WebhookAttempt]:
        with self.database.reading() as session:
            query = select(WebhookAttempt).where(WebhookAttempt.message_id == message_id)
            return list(session.scalars(query.order_by(WebhookAttempt.number)))


def read(message: WebhookMessage) -> dict[str, Any]:
    """Return the data of a message about its job."""
    data: dict[str, Any] = json.loads(message.body)["data"]
    return data
