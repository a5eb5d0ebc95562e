"""Claims the next webhook messages: due ones, at most two at once per receiver, fair between owners.

A claim is a lease of a minute and counts as an attempt, whose number fences the writes of its sender. If a sender
dies, its lease expires, and the message is sent again under the same id.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from common.db.dialects import lock_until_commit
from common.states.webhooks import EndpointStatus, Failure, MessageState
from common.tables import WebhookAttempt, WebhookEndpoint, WebhookMessage
from common.webhooks import endpoints
from common.webhooks.retry_schedule import MOST_TRIES

LEASE = timedelta(seconds=60)
"""Longer than an attempt takes, including name resolution and recording its result."""

PER_DESTINATION = 2
OWNERS_SHARE = 4
"""One owner may use at most a quarter of the senders, however slow its receivers are."""

LOOK_AHEAD = 1000
"""How many due messages one claim considers; those of receivers with two attempts in flight do not count."""

CLAIMING = 7_306_113
"""The number of the advisory lock that serialises claims, so that a receiver never gets a third attempt."""


@dataclass(frozen=True)
class Delivery:
    """An attempt at a message, claimed by one sender."""

    message_id: UUID
    number: int
    endpoint_id: UUID
    destination: str
    url: str
    event: str
    body: bytes
    secrets: tuple[bytes, ...]  # encrypted
    started_at: datetime


def has_due_messages(session: Session, moment: datetime) -> bool:
    """Return whether there may be something to claim; cheaper than an empty claim."""
    return bool(session.scalar(select(exists().where(_match_due(moment)))))


def claim_deliveries(session: Session, moment: datetime, room: int, *, threads: int) -> list[Delivery]:
    """Claim up to *room* messages that are due at *moment*; *threads* is how many senders each clerk has."""
    lock_until_commit(session, CLAIMING)
    chosen = _choose_messages(session, moment, room, max(PER_DESTINATION, threads // OWNERS_SHARE))
    if not chosen:
        return []
    rows = session.scalars(
        select(WebhookMessage)
        .where(WebhookMessage.id.in_(chosen), WebhookMessage.state == MessageState.PENDING)
        .order_by(WebhookMessage.id)
        .with_for_update(skip_locked=True)
    ).all()
    _close_interrupted_attempts(session, [row.id for row in rows])
    targets = select(WebhookEndpoint).where(WebhookEndpoint.id.in_({row.endpoint_id for row in rows}))
    receivers = {endpoint.id: endpoint for endpoint in session.scalars(targets)}
    taken = [row for row in rows if _start_attempt(row, receivers[row.endpoint_id], moment)]
    session.add_all(WebhookAttempt(message_id=row.id, number=row.tries, started_at=moment) for row in taken)
    session.flush()
    return [_build_delivery(row, receivers[row.endpoint_id], moment) for row in taken]


def _choose_messages(session: Session, moment: datetime, room: int, owners_share: int) -> list[UUID]:
    busy, working = _count_in_flight(session, moment)
    due = [_match_due(moment)]
    due.append(WebhookMessage.destination.not_in([name for name, count in busy.items() if count >= PER_DESTINATION]))
    due.append(WebhookMessage.owner.not_in([name for name, count in working.items() if count >= owners_share]))
    first = (
        select(WebhookMessage.id, WebhookMessage.destination, WebhookMessage.owner, WebhookMessage.next_at)
        .where(*due)
        .order_by(WebhookMessage.next_at, WebhookMessage.id)
        .limit(LOOK_AHEAD)
        .subquery()
    )
    place = func.row_number().over(partition_by=first.c.destination, order_by=(first.c.next_at, first.c.id))
    ranked = select(first, place.label("place")).subquery()
    query = select(ranked).where(ranked.c.place <= PER_DESTINATION)
    chosen: list[UUID] = []
    for row in session.execute(query.order_by(ranked.c.place, ranked.c.next_at, ranked.c.id)):
        is_full = busy[row.destination] >= PER_DESTINATION or working[row.owner] >= owners_share
        if not is_full and len(chosen) < room:
            chosen.append(row.id)
            busy[row.destination] += 1
            working[row.owner] += 1
    return chosen


def _match_due(moment: datetime) -> ColumnElement[bool]:
    return and_(
        WebhookMessage.state == MessageState.PENDING,
        WebhookMessage.next_at <= moment,
        or_(WebhookMessage.lease_until.is_(None), WebhookMessage.lease_until < moment),
    )


def _count_in_flight(session: Session, moment: datetime) -> tuple[Counter[str], Counter[str]]:
    """Return how many messages are being tried, by destination and by owner."""
    held = session.execute(
        select(WebhookMessage.destination, WebhookMessage.owner).where(WebhookMessage.lease_until >= moment)
    ).all()
    return Counter(row.destination for row in held), Counter(row.owner for row in held)


def _close_interrupted_attempts(session: Session, message_ids: Sequence[UUID]) -> None:
    """Say of tries whose sender was never heard of again what became of them."""
    open_ones = and_(WebhookAttempt.message_id.in_(message_ids), WebhookAttempt.seconds.is_(None))
    session.execute(
        update(WebhookAttempt)
        .where(open_ones, WebhookAttempt.error.is_(None))
        .values(error=Failure.INTERRUPTED)
        .execution_options(synchronize_session=False)
    )


def _start_attempt(row: WebhookMessage, endpoint: WebhookEndpoint, moment: datetime) -> bool:
    if endpoint.status is EndpointStatus.DISABLED:
        state = MessageState.CANCELED  # owed while its endpoint was being disabled
    elif row.tries - row.earlier_tries >= MOST_TRIES:
        state = MessageState.EXHAUSTED
    else:
        row.tries += 1
        row.lease_until = moment + LEASE
        return True
    row.state, row.ended_at, row.lease_until = state, moment, None
    return False


def _build_delivery(row: WebhookMessage, endpoint: WebhookEndpoint, moment: datetime) -> Delivery:
    return Delivery(
        message_id=row.id,
        number=row.tries,
        endpoint_id=endpoint.id,
        destination=row.destination,
        url=row.url or endpoint.url,
        event=row.event,
        body=row.body,
        secrets=tuple(endpoints.list_live_secrets(endpoint, moment)),
        started_at=moment,
    )
