"""Create webhooks, and lock one or a message of it to change it, as both the API and the console do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from api.auth.bearer import current_caller
from api.runtime.context import current_context
from api.web.errors import RefusedError
from api.web.problems import FieldError
from api.web.validation import refuse_not_found
from api.webhooks import receiver_url
from api.webhooks.schemas import DeliveryPath, NewWebhook, WebhookChanges, WebhookPath
from common.access import audit
from common.access.audit import AuditObject
from common.states.audit import Act, ObjectKind
from common.states.webhooks import CAMPAIGN_EVENTS, JOB_EVENTS, USUAL_EVENTS, EndpointStatus, EventType
from common.tables import WebhookEndpoint, WebhookMessage
from common.tables.webhooks import DIRECT_URL
from common.webhooks import delivery_log, endpoints, outbox, signing_secrets
from common.webhooks.endpoints import NewEndpoint, WebhookExistsError

WITHOUT_URL = "This webhook has no URL: it only signs messages to the `webhook_url` of jobs and campaigns."


def insert_webhook(owner: str, body: NewWebhook) -> tuple[WebhookEndpoint, bytes]:
    """Create a webhook of *owner* and return it with its secret; raise RefusedError, or TooManyWebhooksError."""
    context = current_context()
    url = DIRECT_URL if body.url is None else receiver_url.normalize_url(body.url, "/url")
    usual = (*JOB_EVENTS, *CAMPAIGN_EVENTS) if body.url is None else USUAL_EVENTS
    new = NewEndpoint(
        owner=owner,
        url=url,
        events=[*map(EventType, dict.fromkeys(body.events or ()))] or usual,
        description=body.description or "",
        secret=signing_secrets.parse_secret(body.secret) if body.secret else None,
    )
    with context.database.transaction() as session:
        with _locating_url():
            row, secret = endpoints.create_endpoint(session, context.cipher, new, context.settings.max_webhooks)
        _record_act(session, row, Act.WEBHOOK_CREATED, after=_describe_webhook(row))
        return row, secret


def update_webhook_row(path: WebhookPath, body: WebhookChanges) -> WebhookEndpoint:
    """Update a webhook of the caller and return it; raise RefusedError."""
    url = None if body.url is None else receiver_url.normalize_url(body.url, "/url")
    with lock_webhook(path, Act.WEBHOOK_UPDATED) as (session, row):
        if url is not None:
            if row.url == DIRECT_URL:
                raise RefusedError("webhook_without_url", WITHOUT_URL)
            with _locating_url():
                endpoints.change_endpoint_url(session, row, url)
        row.events = [*dict.fromkeys(body.events or row.events)]
        row.description = row.description if body.description is None else body.description
        return row


def publish_test_event(session: Session, row: WebhookEndpoint) -> WebhookMessage:
    """Enqueue a test message; raise RefusedError if the webhook is disabled or has no URL."""
    refuse_disabled(row)
    if row.url == DIRECT_URL:
        raise RefusedError("webhook_without_url", WITHOUT_URL)
    return outbox.publish_test_event(session, row)


@contextmanager
def lock_webhook(path: WebhookPath, act: Act | None = None) -> Iterator[tuple[Session, WebhookEndpoint]]:
    """Yield a transaction and the caller's webhook, locked; raise RefusedError with ``not_found``.

    What the block changes is recorded in the audit trail as *act*.
    """
    with current_context().database.transaction() as session:
        row = endpoints.find_endpoint(session, current_caller().owner, path.webhook_id, to_change=True)
        if row is None:
            raise refuse_not_found()
        before = _describe_webhook(row)
        yield session, row
        if act is not None:
            after = None if act is Act.WEBHOOK_DELETED else _describe_webhook(row)
            _record_act(session, row, act, before=before, after=after)


@contextmanager
def _locating_url() -> Iterator[None]:
    """Name the URL as the field at fault if another webhook has it."""
    try:
        yield
    except WebhookExistsError as error:
        fault = FieldError(code=error.code, detail="is the URL of another webhook", pointer="/url")
        raise RefusedError(error.code, error.message, [fault]) from None


def _record_act(session: Session, row: WebhookEndpoint, act: Act, **described: dict[str, Any] | None) -> None:
    audit.record_event(session, current_caller(), act, AuditObject(ObjectKind.WEBHOOK, row.id), **described)


def _describe_webhook(row: WebhookEndpoint) -> dict[str, Any]:
    """Return what the audit trail says of a webhook: of its URL only the host, since the rest may be a secret."""
    return {"host": urlsplit(row.url).hostname, "events": row.events, "status": row.status}


def refuse_disabled(row: WebhookEndpoint) -> None:
    """Raise RefusedError if a webhook is disabled."""
    if row.status is EndpointStatus.DISABLED:
        raise RefusedError("webhook_disabled", "Enable the webhook first.")


def load_message(session: Session, path: DeliveryPath, *, to_change: bool = False) -> WebhookMessage:
    """Return a message of the caller; raise RefusedError with ``not_found``."""
    row = delivery_log.find_message(
        session, current_caller().owner, path.webhook_id, path.delivery_id, to_change=to_change
    )
    if row is None:
        raise refuse_not_found()
    return row
