"""The webhook outbox: messages are written in the transaction of the event, and can be redelivered."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from common.db.clock import fetch_now, now_sql
from common.states.webhooks import (
    EndpointStatus,
    EventType,
    MessageState,
    parse_events,
)
from common.tables import Job, WebhookEndpoint, WebhookMessage
from common.tables.webhooks import DIRECT_URL
from common.webhooks import payloads
from common.webhooks.urls import parse_url

BATCH = 500
UNDELIVERED = (MessageState.EXHAUSTED, MessageState.CANCELED)


def publish_test_event(session: Session, endpoint: WebhookEndpoint) -> WebhookMessage:
    """Enqueue a message for *endpoint* that is not about a job or campaign."""
    moment = fetch_now(session)
    message = build_message(endpoint, EventType.WEBHOOK_TEST, moment)
    message.body = payloads.render_test_event(moment, endpoint.id)
    session.add(message)
    session.flush()
    return message


@dataclass(frozen=True)
class Event:
    """An event to publish, and a URL of its own that it also goes to."""

    owner: str
    event: EventType
    moment: datetime
    body: bytes
    url: str | None = None
    events: Sequence[EventType] = ()  # what that URL is told of


def publish_event(session: Session, news: Event) -> int:
    """Enqueue *news* for every subscribed endpoint of its owner; return the number of messages."""
    owed = []
    for endpoint in lock_endpoints(session, {news.owner}):
        own = news.events if news.url is not None else ()
        if news.event in (own if endpoint.url == DIRECT_URL else parse_events(endpoint.events)):
            message = build_message(endpoint, news.event, news.moment, news.url)
            message.body = news.body
            owed.append(message)
    session.add_all(owed)
    session.flush()
    return len(owed)


def resend_message(session: Session, message: WebhookMessage) -> bool:
    """Deliver *message* again, from the beginning of the schedule, and return True.

    Returns False for one that is being delivered, which stays as it is.
    """
    moment = fetch_now(session)
    if message.lease_until is not None and message.lease_until >= moment:
        return False
    message.state = MessageState.PENDING
    message.earlier_tries = message.tries
    message.next_at = moment
    message.lease_until = message.ended_at = None
    return True


def resend_messages(
    session: Session, endpoint: WebhookEndpoint, since: datetime, until: datetime | None, *, delivered: bool
) -> int:
    """Deliver the undelivered messages of a span of time again, or all with *delivered*; return how many."""
    states = (*UNDELIVERED, MessageState.DELIVERED) if delivered else UNDELIVERED
    chosen = [WebhookMessage.endpoint_id == endpoint.id, WebhookMessage.created_at >= since]
    if until is not None:
        chosen.append(WebhookMessage.created_at < until)
    rows = session.scalars(
        update(WebhookMessage)
        .where(*chosen, WebhookMessage.state.in_(states))
        .values(
            state=MessageState.PENDING,
            earlier_tries=WebhookMessage.tries,
            next_at=now_sql(session),
            lease_until=None,
            ended_at=None,
        )
        .returning(WebhookMessage.id)
        .execution_options(synchronize_session=False)
    )
    return len(rows.all())


def filter_messages(
    before: datetime, owner: str | None, jobs: ColumnElement[bool] | None, *, jobless: bool
) -> ColumnElement[bool]:
    """Select the messages created before a time, of *owner* if one is given.

    Of those about jobs only such *jobs* count; those about none count if *jobless*.
    """
    old = WebhookMessage.created_at < before
    if owner is not None:
        own = select(WebhookEndpoint.id).where(WebhookEndpoint.owner == owner)
        old = and_(old, WebhookMessage.endpoint_id.in_(own))  # for which there is an index
    if jobs is not None:
        about = WebhookMessage.job_id.in_(select(Job.id).where(jobs))
        old = and_(old, or_(about, WebhookMessage.job_id.is_(None)) if jobless else about)
    return old


def delete_job_messages(session: Session, job_ids: Collection[UUID]) -> int:
    """Delete the messages about these jobs that nobody waits for any more; return how many."""
    return delete_messages(session, WebhookMessage.job_id.in_(job_ids), None)


def delete_messages(session: Session, chosen: ColumnElement[bool], most: int | None) -> int:
    """Delete at most so many of the *chosen* messages, none that somebody waits for; return how many."""
    ids = session.scalars(
        select(WebhookMessage.id)
        .where(chosen, WebhookMessage.state != MessageState.PENDING)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()
    session.execute(
        delete(WebhookMessage).where(WebhookMessage.id.in_(ids)).execution_options(synchronize_session=False)
    )
    return len(ids)


def hash_destination(owner: str, url: str) -> str:
    """Return what messages to the same receiver share, where the jobs of *owner* name it: scheme, host and port."""
    return hashlib.sha256(f"{owner} {parse_url(url).origin}".encode()).hexdigest()[:40]


def lock_endpoints(session: Session, owners: Collection[str]) -> Sequence[WebhookEndpoint]:
    """Return the live endpoints of *owners*, locked against nothing but deletion until the messages are there."""
    return session.scalars(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.owner.in_(owners), WebhookEndpoint.status == EndpointStatus.ENABLED)
        .order_by(WebhookEndpoint.id)
        .with_for_update(read=True, key_share=True)
    ).all()


def build_message(
    endpoint: WebhookEndpoint,
    event: EventType,
    moment: datetime,
    own_url: str | None = None,
    job_id: UUID | None = None,
) -> WebhookMessage:
    """Return a new message about *event* for *endpoint*; it goes to *own_url* where the endpoint has none."""
    url = own_url if endpoint.url == DIRECT_URL else None
    return WebhookMessage(
        endpoint_id=endpoint.id,
        owner=endpoint.owner,
        url=url,
        destination=endpoint.id.hex if url is None else hash_destination(endpoint.owner, url),
        job_id=job_id,
        event=event,
        created_at=moment,
        next_at=max(moment, endpoint.resume_at or moment),
    )
