"""From rows to the JSON that is shown."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from api import records
from api.runtime.context import Context
from api.schemas import (
    assets as assets_schema,
    deliveries as deliveries_schema,
    images as images_schema,
    jobs as jobs_schema,
    webhooks as webhooks_schema,
)
from api.schemas.safety import JobSafety
from common.clock import utcnow
from common.images.assets import CONTENT_TYPE
from common.jobs import fair_queue
from common.jobs.request import ImageRequest
from common.storage.links import Linked
from common.tables import Asset, Image, Job, WebhookAttempt, WebhookEndpoint, WebhookMessage
from common.tables.states import version_of
from common.tables.webhook_states import DisabledReason, EventType, Failure, MessageState, parse_events
from common.usage.usage import was_delivered
from common.webhooks import signing_secrets


def show_jobs(session: Session, rows: Sequence[Job], context: Context) -> list[jobs_schema.Job]:
    """Return what is shown of *rows*."""
    images = records.images_of(session, rows)
    return [_show_job(row, images.get(row.id, []), fair_queue.count_ahead(session, row), context) for row in rows]


def show_job(session: Session, row: Job, context: Context) -> jobs_schema.Job:
    """Return what is shown of one job."""
    return show_jobs(session, [row], context)[0]


def show_new_job(row: Job, queue_position: int, context: Context) -> jobs_schema.Job:
    """Return what is shown of a job that has just been queued."""
    return _show_job(row, [], queue_position, context)


def show_image(row: Image, context: Context) -> images_schema.Image:
    """Return what is shown of an image, with fresh links to it if it was published."""
    url, thumbnail_url = _link(row, context), _link(row, context, thumbnail=True)
    return images_schema.Image(
        id=row.id,
        job_id=row.job_id,
        index=row.position,
        status=row.status,
        url=url,
        thumbnail_url=thumbnail_url,
        url_expires_at=_expiry(context) if url else None,
        seed=row.seed,
        width=row.width,
        height=row.height,
        content_type=row.content_type,
        bytes=row.bytes,
        sha256=row.sha256,
        signed=row.signed,
        safety=show_safety(row),
        colours=[images_schema.Colour(**colour) for colour in row.colours or ()],
        palette_score=row.palette_score,
        cost=images_schema.Cost(gpu_seconds=row.gpu_seconds, amount=row.amount, currency=row.currency),
        created_at=row.created_at,
    )


def show_safety(row: Image) -> images_schema.Safety:
    """Return what is shown of the check of an image."""
    return images_schema.Safety(
        mode=row.safety_mode,
        verdict=row.verdict,
        scores=row.safety.get("scores", {}),
        reason=row.safety.get("reason"),
        policy=images_schema.Policy(
            version=row.safety.get("policy"),
            checker=row.safety.get("checker"),
            digest=row.safety.get("digest"),
            thresholds=row.safety.get("thresholds", {}),
        ),
        is_fallback="fallback_for" in row.safety,
        released_at=row.released_at,
    )


def show_asset(row: Asset) -> assets_schema.Asset:
    """Return what is shown of an asset."""
    return assets_schema.Asset(
        id=row.id,
        width=row.width,
        height=row.height,
        content_type=CONTENT_TYPE,
        bytes=row.bytes,
        sha256=row.sha256,
        verdict=row.verdict,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def show_webhook(row: WebhookEndpoint, secret: bytes | None = None) -> webhooks_schema.Webhook:
    """Return what is shown of a webhook; its secret only to whoever has just made it."""
    return webhooks_schema.Webhook(
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


def show_delivery(
    row: WebhookMessage, last: WebhookAttempt | None, *, with_body: bool = False
) -> deliveries_schema.Delivery:
    """Return what is shown of a message to a webhook, with the *last* try at it."""
    return deliveries_schema.Delivery(
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


def show_delivery_attempt(row: WebhookAttempt) -> deliveries_schema.DeliveryAttempt:
    """Return what is shown of a try at a message."""
    return deliveries_schema.DeliveryAttempt(
        number=row.number,
        started_at=row.started_at,
        seconds=row.seconds,
        status=row.status,
        error=Failure(row.error) if row.error else None,
        response=row.response,
    )


def file_of(row: Image, *, thumbnail: bool = False) -> Linked | None:
    """Return the file of an image or of its thumbnail; None unless it was published."""
    key = row.thumbnail_key if thumbnail else row.storage_key
    if key is None or not row.status.is_readable:
        return None
    suffix = key.rpartition(".")[2]
    name = f"{row.job_id}-{row.position}{'-thumbnail' if thumbnail else ''}.{suffix}"
    return Linked(key, f"image/{suffix}" if thumbnail or not row.content_type else row.content_type, name)


def sign(wanted: Linked, context: Context) -> str:
    """Return a link to a file that needs no key."""
    key, content_type, filename = wanted
    seconds = context.settings.link_seconds
    return context.storage.sign(key, content_type=content_type, filename=filename, seconds=seconds)


def _link(row: Image, context: Context, *, thumbnail: bool = False) -> str | None:
    wanted = file_of(row, thumbnail=thumbnail)
    return None if wanted is None else sign(wanted, context)


def _show_job(row: Job, images: Sequence[Image], queue_position: int | None, context: Context) -> jobs_schema.Job:
    error = None
    if row.error_code is not None:
        error = jobs_schema.JobError(
            code=row.error_code, message=row.error_message or "", retryable=bool(row.error_retryable)
        )
    return jobs_schema.Job(
        id=row.id,
        status=row.status,
        priority=row.priority,
        request=show_request(ImageRequest.known_part(row.request)),
        progress=jobs_schema.Progress(step=row.progress_step, steps=row.steps),
        queue_position=queue_position,
        attempt=row.attempt,
        version=version_of(row.status, row.attempt),
        images=[show_image(image, context) for image in images],
        cost=total_cost(images, context),
        error=error,
        metadata=row.annotations,
        retry_of=row.retry_of,
        style=row.style_version,
        palette=row.palette or [],
        webhook_url=row.webhook_url,
        webhook_events=None if row.webhook_events is None else list(parse_events(row.webhook_events)),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        deadline_at=row.deadline_at,
        prompt_erased_at=row.prompt_erased_at,
    )


def show_request(request: ImageRequest) -> jobs_schema.Request:
    """Return *request* as a job shows it."""
    strength = None if request.init_image is None else request.strength
    policy = None if request.safety is None else JobSafety(**request.safety.model_dump())
    return jobs_schema.Request(**request.model_dump() | {"strength": strength, "safety": policy})


def total_cost(images: Sequence[Image], context: Context) -> images_schema.Cost:
    """Return what was charged for these images of one job."""
    charged = [image for image in images if was_delivered(image)]
    return images_schema.Cost(
        gpu_seconds=sum(image.gpu_seconds for image in charged),
        amount=sum((image.amount for image in charged), Decimal(0)),
        currency=charged[0].currency if charged else context.settings.currency,
    )


def _expiry(context: Context) -> datetime:
    return (utcnow() + timedelta(seconds=context.settings.link_seconds)).replace(microsecond=0)
