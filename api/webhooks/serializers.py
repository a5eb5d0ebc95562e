"""Convert webhooks and deliveries to their JSON representation."""

import json

from api.webhooks import schemas
from common.states.webhooks import DisabledReason, EventType, Failure, MessageState, parse_events
from common.tables import WebhookAttempt, WebhookEndpoint, WebhookMessage
from common.webhooks import signing_secrets


def serialize_webhook(row: WebhookEndpoint, secret: bytes | None = None) -> schemas.Webhook:
    """Return the representation of a webhook; *secret* is given only on creation and rotation."""
    return schemas.Webhook(
        id=row.id,
        url=row.url or None,
        events=list(parse_events(row.events)),
        description=row.description,
        status=row.status,
        disabled_reason=DisabledReason(row.disabled_reason) if row.disabled_reason else None,
        secret=None if secret is None else signing_secrets.format_secret(secret),
        previous_secret_until=row.previous_until,
        failures=row.failures,
        failing_since=row.failing_since,
        resume_at=row.resume_at,
        created_at=row.created_at,
    )


def serialize_delivery(
    row: WebhookMessage, last: WebhookAttempt | None, *, with_body: bool = False
) -> schemas.Delivery:
    """Return the representation of a webhook message, with its *last* attempt."""
    return schemas.Delivery(
        id=row.id,
        webhook_id=row.endpoint_id,
        job_id=row.job_id,
        event=EventType(row.event),
        state=row.state,
        url=row.url,
        attempts=row.tries,
        next_attempt_at=row.next_at if row.state is MessageState.PENDING else None,
        last_attempt=None if last is None else serialize_delivery_attempt(last),
        body=json.loads(row.body) if with_body else None,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def serialize_delivery_attempt(row: WebhookAttempt) -> schemas.DeliveryAttempt:
    """Return the representation of a delivery attempt."""
    return schemas.DeliveryAttempt(
        number=row.number,
        started_at=row.started_at,
        seconds=row.seconds,
        status=row.status,
        error=Failure(row.error) if row.error else None,
        response=row.response,
    )
