"""Endpoints: where owners want to be told; their secrets, and when they are left alone or given up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.db.clock import now
from common.errors import PressroomError
from common.ids import new_id
from common.logs import get_logger
from common.tables import WebhookEndpoint, WebhookMessage
from common.tables.webhook_states import (
    CAMPAIGN_EVENTS,
    JOB_EVENTS,
    USUAL_EVENTS,
    DisabledReason,
    EndpointStatus,
    EventType,
    MessageState,
)
from common.tables.webhooks import DIRECT
from common.webhooks import signing_secrets
from common.webhooks.signing_secrets import Sealer

log = get_logger(__name__)


class WebhookExistsError(PressroomError):
    """There is a webhook with this URL already."""

    code = "webhook_exists"


class TooManyWebhooksError(PressroomError):
    """Too many webhooks exist already; delete some."""

    code = "too_many_webhooks"


@dataclass(frozen=True)
class NewEndpoint:
    """What an owner wants told, and where; a URL of nothing is the endpoint of all jobs that name one themselves."""

    owner: str
    url: str = DIRECT
    events: Sequence[EventType] = USUAL_EVENTS
    description: str = ""
    secret: bytes | None = None


def add(session: Session, sealer: Sealer, wish: NewEndpoint, most: int) -> tuple[WebhookEndpoint, bytes]:
    """Enter an endpoint, and return it with its secret; raise WebhookExistsError or TooManyWebhooksError."""
    if wish.url != DIRECT:
        _check_room(session, wish.owner, most)
    secret = wish.secret or signing_secrets.make()
    endpoint_id = _insert(session, sealer, wish, secret)
    if endpoint_id is None:
        raise WebhookExistsError
    return session.get_one(WebhookEndpoint, endpoint_id), secret


def see_to_direct(session: Session, sealer: Sealer, owner: str) -> None:
    """Make the endpoint of the jobs and campaigns of *owner* that name a URL of their own, unless there is one."""
    there = select(WebhookEndpoint.id).where(WebhookEndpoint.owner == owner, WebhookEndpoint.url == DIRECT)
    if session.scalar(there) is None:
        _insert(session, sealer, NewEndpoint(owner, events=(*JOB_EVENTS, *CAMPAIGN_EVENTS)), signing_secrets.make())


def find(session: Session, owner: str, endpoint_id: UUID, *, to_change: bool = False) -> WebhookEndpoint | None:
    """Return an endpoint of *owner*, locked if it is *to_change*.

    Whoever locks an endpoint and its messages locks the endpoint first.
    """
    query = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.owner == owner)
    return session.scalar(query.with_for_update(key_share=True) if to_change else query)


def list_all(session: Session, owner: str) -> list[WebhookEndpoint]:
    """Return the endpoints of *owner*, the newest first."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.owner == owner)
    return list(session.scalars(query.order_by(WebhookEndpoint.id.desc())))


def move(session: Session, endpoint: WebhookEndpoint, url: str) -> None:
    """Give *endpoint* another URL; messages that wait go there. Raises WebhookExistsError."""
    taken = select(WebhookEndpoint.id).where(
        WebhookEndpoint.owner == endpoint.owner, WebhookEndpoint.url == url, WebhookEndpoint.id != endpoint.id
    )
    if session.scalar(taken) is not None:
        raise WebhookExistsError
    if endpoint.url != url:
        endpoint.url = url
        _forgive(endpoint)
        try:
            session.flush()
        except IntegrityError:
            raise WebhookExistsError from None


def rotate(
    session: Session, sealer: Sealer, endpoint: WebhookEndpoint, overlap: timedelta, secret: bytes | None = None
) -> bytes:
    """Give *endpoint* a new secret and return it; for the time of *overlap* the old one signs too."""
    fresh = secret or signing_secrets.make()
    endpoint.previous_secret = endpoint.secret if overlap else None
    endpoint.previous_until = _later(session, overlap) if overlap else None
    endpoint.secret = sealer.seal(fresh)
    return fresh


def enable(endpoint: WebhookEndpoint) -> None:
    """Have *endpoint* told again of what happens from now on."""
    endpoint.status = EndpointStatus.ENABLED
    endpoint.disabled_reason = None
    _forgive(endpoint)


def disable(session: Session, endpoint: WebhookEndpoint, reason: DisabledReason) -> None:
    """Tell *endpoint* nothing more, not even what is owed: that can be sent again once it is enabled."""
    endpoint.status = EndpointStatus.DISABLED
    endpoint.disabled_reason = reason
    session.flush()
    session.execute(
        update(WebhookMessage)
        .where(WebhookMessage.endpoint_id == endpoint.id, WebhookMessage.state == MessageState.PENDING)
        .values(state=MessageState.CANCELED, ended_at=now(session))
        .execution_options(synchronize_session="fetch")
    )
    log.info("webhook_disabled", webhook_id=str(endpoint.id), reason=reason)


def remove(session: Session, endpoint: WebhookEndpoint) -> None:
    """Delete *endpoint* with its messages."""
    session.execute(delete(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id))


def live_secrets(endpoint: WebhookEndpoint, moment: datetime) -> list[bytes]:
    """Return the sealed secrets that sign at *moment*, the newest first."""
    previous, until = endpoint.previous_secret, endpoint.previous_until
    return [endpoint.secret] if previous is None or until is None or until <= moment else [endpoint.secret, previous]


def _forgive(endpoint: WebhookEndpoint) -> None:
    endpoint.failures = 0
    endpoint.failing_since = endpoint.resume_at = None


def _later(session: Session, overlap: timedelta) -> datetime:
    return session.scalars(select(now(session, overlap))).one()


def _check_room(session: Session, owner: str, most: int) -> None:
    if session.get_bind().dialect.name == "postgresql":
        # Two at once would both count before either has entered its own.
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"webhooks {owner}", 0))))
    own = select(WebhookEndpoint.id).where(WebhookEndpoint.owner == owner, WebhookEndpoint.url != DIRECT)
    if (session.scalar(select(func.count()).select_from(own.subquery())) or 0) >= most:
        raise TooManyWebhooksError


def _insert(session: Session, sealer: Sealer, wish: NewEndpoint, secret: bytes) -> UUID | None:
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    row = {
        "id": new_id(),
        "owner": wish.owner,
        "url": wish.url,
        "description": wish.description,
        "events": [*map(str, wish.events)],
        "status": EndpointStatus.ENABLED,
        "secret": sealer.seal(secret),
        "failures": 0,
        "created_at": now(session),
    }
    return session.scalar(insert(WebhookEndpoint).values(row).on_conflict_do_nothing().returning(WebhookEndpoint.id))
