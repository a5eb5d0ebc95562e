"""Webhooks and their deliveries as JSON."""

import json

from api.webhooks import schemas
from common.tables import WebhookAttempt, WebhookEndpoint, WebhookMessage
from common.tables.webhook_states import DisabledReason, EventType, Failure, MessageState, parse_events
from common.webhooks import signing_secrets


def show_webhook(row: WebhookEndpoint, secret: bytes | None = None) -> schemas.Webhook:
    """Return what is shown of a webhook; its secret only to whoever has just made it."""
    return schemas.Webhook(
        id=row.id,
        url=row.url or None,
        events=list(parse_events(row.events)),
        description=row.description,
        status=row.status,
        disabled_reason=DisabledReason(row.disabled_reason) if row.disabled_reason else None,
        secret=None if secret is None else signing_secrets.spell(secret),
        previous_secret_until=row.previous_until,
        failures=row.failures,
        failing_since=row.failing_since,
        resume_at=row.resume_at,
        created_at=row.created_at,
    )


def show_delivery(row: WebhookMessage, last: WebhookAttempt | None, *, with_body: bool = False) -> schemas.Delivery:
    """Return what is shown of a message to a webhook, with the *last* try at it."""
    return schemas.Delivery(
        id=row.id,
        webhook_id=row.endpoint_id,
        job_id=row.job_id,
        event=EventType(row.event),
        state=row.state,
        url=row.url,
        attempts=row.tries,
        next_attempt_at=row.next_at if row.state is MessageState.PENDING else None,
        last_attempt=None if last is None else show_delivery_attempt(last),
        body=json.loads(row.body) if with_body else None,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def show_delivery_attempt(row: WebhookAttempt) -> schemas.DeliveryAttempt:
    """Return what is shown of a try at a message."""
    return schemas.DeliveryAttempt(
        number=row.number,
        started_at=row.started_at,
        seconds=row.seconds,
        status=row.status,
        error=Failure(row.error) if row.error else None,
        response=row.response,
    )
