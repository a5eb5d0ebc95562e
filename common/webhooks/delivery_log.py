"""The log of deliveries, as their owners read it."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, select, tuple_
from sqlalchemy.orm import Session

from common.db import pages
from common.db.pages import FoundPage
from common.states.webhooks import MessageState
from common.tables import WebhookAttempt, WebhookMessage

MOST_ATTEMPTS = 100


def find_message(
    session: Session, owner: str, endpoint_id: UUID, message_id: UUID, *, to_change: bool = False
) -> WebhookMessage | None:
    """Return a message of *owner* to one endpoint, locked if it is *to_change*."""
    query = select(WebhookMessage).where(
        WebhookMessage.id == message_id, WebhookMessage.endpoint_id == endpoint_id, WebhookMessage.owner == owner
    )
    return session.scalar(query.with_for_update() if to_change else query)


def list_messages(
    session: Session,
    endpoint_id: UUID,
    *,
    state: MessageState | None,
    job_id: UUID | None,
    after: UUID | None,
    limit: int,
) -> FoundPage[WebhookMessage]:
    """Return messages to an endpoint, the newest first, beginning after the message *after*."""
    read = [WebhookMessage.endpoint_id == endpoint_id]
    if job_id is not None:
        read.append(WebhookMessage.job_id == job_id)

    def choose(message: type[WebhookMessage]) -> Select[WebhookMessage]:
        return select(message) if state is None else select(message).where(message.state == state)

    found = pages.find_page(session, WebhookMessage.id, read, choose, after=after, limit=limit)
    return FoundPage([message for (message,) in found.rows], found.next_after)


def load_last_attempts(session: Session, rows: Sequence[WebhookMessage]) -> dict[UUID, WebhookAttempt]:
    """Return the last try at each message that has been tried."""
    wanted = [(row.id, row.tries) for row in rows if row.tries]
    if not wanted:
        return {}
    query = select(WebhookAttempt).where(tuple_(WebhookAttempt.message_id, WebhookAttempt.number).in_(wanted))
    return {attempt.message_id: attempt for attempt in session.scalars(query)}


def list_attempts(session: Session, message_id: UUID) -> list[WebhookAttempt]:
    """Return the last hundred tries at a message, the newest first."""
    query = select(WebhookAttempt).where(WebhookAttempt.message_id == message_id)
    return list(session.scalars(query.order_by(WebhookAttempt.number.desc()).limit(MOST_ATTEMPTS)))


def list_job_messages(session: Session, owner: str, job_id: UUID) -> list[WebhookMessage]:
    """Return the messages of *owner* about one job, the oldest first."""
    query = select(WebhookMessage).where(WebhookMessage.job_id == job_id, WebhookMessage.owner == owner)
    return list(session.scalars(query.order_by(WebhookMessage.id).limit(MOST_ATTEMPTS)))


def load_attempts(session: Session, rows: Sequence[WebhookMessage]) -> dict[UUID, list[WebhookAttempt]]:
    """Return the tries at each of these messages that has been tried, in their order."""
    found: dict[UUID, list[WebhookAttempt]] = defaultdict(list)
    tried = [row.id for row in rows if row.tries]
    if tried:
        query = select(WebhookAttempt).where(WebhookAttempt.message_id.in_(tried))
        for attempt in session.scalars(query.order_by(WebhookAttempt.number).limit(MOST_ATTEMPTS)):
            found[attempt.message_id].append(attempt)
    return dict(found)
