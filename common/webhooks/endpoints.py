"""Webhook endpoints: registration, secrets, and disabling after failures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from common.db.clock import now_sql
from common.db.dialects import choose_insert, lock_until_commit
from common.db.ids import create_id
from common.errors import PressroomError
from common.logs import get_logger
from common.states.webhooks import (
    CAMPAIGN_EVENTS,
    JOB_EVENTS,
    USUAL_EVENTS,
    DisabledReason,
    EndpointStatus,
    EventType,
    MessageState,
)
from common.tables import WebhookEndpoint, WebhookMessage
from common.tables.webhooks import DIRECT_URL
from common.webhooks import signing_secrets
from common.webhooks.signing_secrets import SecretCipher

log = get_logger(__name__)


class WebhookExistsError(PressroomError):
    """A webhook with this URL already exists."""

    code = "webhook_exists"


class TooManyWebhooksError(PressroomError):
    """The maximum number of webhooks is reached; delete one first."""

    code = "too_many_webhooks"


@dataclass(frozen=True)
class NewEndpoint:
    """A new endpoint of an owner; one with an empty URL serves all jobs that name a URL of their own."""

    owner: str
    url: str = DIRECT_URL
    events: Sequence[EventType] = USUAL_EVENTS
    description: str = ""
    secret: bytes | None = None


def create_endpoint(
    session: Session, cipher: SecretCipher, new_endpoint: NewEndpoint, most: int
) -> tuple[WebhookEndpoint, bytes]:
    """Create an endpoint and return it with its secret; raise WebhookExistsError or TooManyWebhooksError."""
    if new_endpoint.url != DIRECT_URL:
        _check_endpoint_limit(session, new_endpoint.owner, most)
    secret = new_endpoint.secret or signing_secrets.create_secret()
    endpoint_id = _insert_endpoint(session, cipher, new_endpoint, secret)
    if endpoint_id is None:
        raise WebhookExistsError
    return session.get_one(WebhookEndpoint, endpoint_id), secret


def ensure_direct_endpoint(session: Session, cipher: SecretCipher, owner: str) -> None:
    """Create the endpoint for jobs and campaigns of *owner* with a URL of their own, unless it exists."""
    there = select(WebhookEndpoint.id).where(WebhookEndpoint.owner == owner, WebhookEndpoint.url == DIRECT_URL)
    if session.scalar(there) is None:
        _insert_endpoint(
            session, cipher, NewEndpoint(owner, events=(*JOB_EVENTS, *CAMPAIGN_EVENTS)), signing_secrets.create_secret()
        )


def find_endpoint(
    session: Session, owner: str, endpoint_id: UUID, *, to_change: bool = False
) -> WebhookEndpoint | None:
    """Return an endpoint of *owner*, locked if it is *to_change*.

    Lock order: an endpoint before its messages.
    """
    query = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.owner == owner)
    return session.scalar(query.with_for_update(key_share=True) if to_change else query)


def list_endpoints(session: Session, owner: str) -> list[WebhookEndpoint]:
    """Return the endpoints of *owner*, the newest first."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.owner == owner)
    return list(session.scalars(query.order_by(WebhookEndpoint.id.desc())))


def change_endpoint_url(session: Session, endpoint: WebhookEndpoint, url: str) -> None:
    """Change the URL of *endpoint*; pending messages go to the new one. Raises WebhookExistsError."""
    taken = select(WebhookEndpoint.id).where(
        WebhookEndpoint.owner == endpoint.owner, WebhookEndpoint.url == url, WebhookEndpoint.id != endpoint.id
    )
    if session.scalar(taken) is not None:
        raise WebhookExistsError
    if endpoint.url != url:
        endpoint.url = url
        _reset_failures(endpoint)
        try:
            session.flush()
        except IntegrityError:
            raise WebhookExistsError from None


def rotate_secret(
    session: Session, cipher: SecretCipher, endpoint: WebhookEndpoint, overlap: timedelta, secret: bytes | None = None
) -> bytes:
    """Give *endpoint* a new secret and return it; the old one also signs for the duration of *overlap*."""
    fresh = secret or signing_secrets.create_secret()
    endpoint.previous_secret = endpoint.secret if overlap else None
    endpoint.previous_until = _fetch_overlap_end(session, overlap) if overlap else None
    endpoint.secret = cipher.seal(fresh)
    return fresh


def enable_endpoint(endpoint: WebhookEndpoint) -> None:
    """Send events to *endpoint* again, from now on."""
    endpoint.status = EndpointStatus.ENABLED
    endpoint.disabled_reason = None
    _reset_failures(endpoint)


def disable_endpoint(session: Session, endpoint: WebhookEndpoint, reason: DisabledReason) -> None:
    """Send nothing more to *endpoint* and cancel its pending messages; they can be resent once it is enabled."""
    endpoint.status = EndpointStatus.DISABLED
    endpoint.disabled_reason = reason
    session.flush()
    session.execute(
        update(WebhookMessage)
        .where(WebhookMessage.endpoint_id == endpoint.id, WebhookMessage.state == MessageState.PENDING)
        .values(state=MessageState.CANCELED, ended_at=now_sql(session))
        .execution_options(synchronize_session="fetch")
    )
    log.info("webhook_disabled", webhook_id=str(endpoint.id), reason=reason)


def delete_endpoint(session: Session, endpoint: WebhookEndpoint) -> None:
    """Delete *endpoint* with its messages."""
    session.execute(delete(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id))


def list_live_secrets(endpoint: WebhookEndpoint, moment: datetime) -> list[bytes]:
    """Return the encrypted secrets that sign at *moment*, the newest first."""
    previous, until = endpoint.previous_secret, endpoint.previous_until
    return [endpoint.secret] if previous is None or until is None or until <= moment else [endpoint.secret, previous]


def _reset_failures(endpoint: WebhookEndpoint) -> None:
    endpoint.failures = 0
    endpoint.failing_since = endpoint.resume_at = None


def _fetch_overlap_end(session: Session, overlap: timedelta) -> datetime:
    return session.scalars(select(now_sql(session, overlap))).one()


def _check_endpoint_limit(session: Session, owner: str, most: int) -> None:
    lock_until_commit(session, f"webhooks {owner}")  # two at once would both count before either has inserted its own
    own = select(WebhookEndpoint.id).where(WebhookEndpoint.owner == owner, WebhookEndpoint.url != DIRECT_URL)
    if (session.scalar(select(func.count()).select_from(own.subquery())) or 0) >= most:
        raise TooManyWebhooksError


def _insert_endpoint(session: Session, cipher: SecretCipher, new_endpoint: NewEndpoint, secret: bytes) -> UUID | None:
    row = {
        "id": create_id(),
        "owner": new_endpoint.owner,
        "url": new_endpoint.url,
        "description": new_endpoint.description,
        "events": [*map(str, new_endpoint.events)],
        "status": EndpointStatus.ENABLED,
        "secret": cipher.seal(secret),
        "failures": 0,
        "created_at": now_sql(session),
    }
    insert = choose_insert(session)(WebhookEndpoint).values(row)
    return session.scalar(insert.on_conflict_do_nothing().returning(WebhookEndpoint.id))
