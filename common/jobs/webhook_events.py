"""What is published to webhooks about jobs: which events, to which endpoints, with which body."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.orm import Session

from common.db.clock import fetch_now
from common.states.jobs import JobStatus, compute_job_version
from common.states.webhooks import EVENT_OF_STATUS, TERMINAL_EVENTS, EndpointStatus, EventType, parse_events
from common.tables import Image, Job, WebhookEndpoint, WebhookMessage
from common.tables.webhooks import DIRECT_URL
from common.usage.usage import was_delivered
from common.webhooks.outbox import BATCH, build_message, lock_endpoints
from common.webhooks.payloads import format_amount, format_time, render_event

SUBSCRIBED_JOBS = select(Job.id).where(
    Job.id.in_(bindparam("ids", expanding=True)),
    Job.campaign_id.is_(None),  # a campaign tells of its jobs in sum
    exists().where(
        WebhookEndpoint.owner == Job.owner,
        WebhookEndpoint.status == EndpointStatus.ENABLED,
        or_(WebhookEndpoint.url != DIRECT_URL, Job.webhook_url.is_not(None)),
    ),
)
"""Which of some jobs anybody wants to hear of; asked at every move, so it is put together once."""


def publish_job_event(session: Session, status: JobStatus, job_ids: Collection[UUID]) -> int:
    """Publish the event of jobs that have just moved to *status*; return the number of messages.

    The caller's transaction is the one that moved them, and has written their images.
    """
    event = EVENT_OF_STATUS.get(status)
    if event is None:
        return 0
    owed = 0
    for some in _batch_ids(job_ids):
        told = session.scalars(SUBSCRIBED_JOBS, {"ids": some}).all()
        if told:
            owed += _insert_messages(session, event, told)
    return owed


def publish_release_event(session: Session, job_id: UUID) -> int:
    """Publish the event of a job of which an image was released; return the number of messages."""
    told = session.scalars(SUBSCRIBED_JOBS, {"ids": [job_id]}).all()
    return _insert_messages(session, EventType.IMAGE_RELEASED, told) if told else 0


def _insert_messages(session: Session, event: EventType, job_ids: Sequence[UUID]) -> int:
    ordered = select(Job).where(Job.id.in_(job_ids)).order_by(Job.id)
    jobs = session.scalars(ordered.execution_options(populate_existing=True)).all()
    owners = {job.owner for job in jobs}
    endpoints = lock_endpoints(session, owners)
    images: dict[UUID, list[Image]] = defaultdict(list)
    for image in session.scalars(select(Image).where(Image.job_id.in_(job_ids)).order_by(Image.position)):
        images[image.job_id].append(image)
    moment = fetch_now(session)
    owed = [message for job in jobs for message in _build_messages(job, images[job.id], endpoints, event, moment)]
    session.add_all(owed)
    session.flush()
    return len(owed)


def _build_messages(
    job: Job, images: Sequence[Image], endpoints: Sequence[WebhookEndpoint], event: EventType, moment: datetime
) -> Iterator[WebhookMessage]:
    body = b""
    for endpoint in endpoints:
        if endpoint.owner != job.owner or event not in _list_subscribed_events(endpoint, job):
            continue
        happened = moment if event is EventType.IMAGE_RELEASED else job.finished_at or moment
        body = body or render_job_event(event, happened, job, images)
        message = build_message(endpoint, event, moment, job.webhook_url, job.id)
        message.body = body
        yield message


def _list_subscribed_events(endpoint: WebhookEndpoint, job: Job) -> tuple[EventType, ...]:
    if endpoint.url != DIRECT_URL:
        return parse_events(endpoint.events)
    if job.webhook_url is None:
        return ()
    usual = (*TERMINAL_EVENTS, EventType.IMAGE_RELEASED)
    return usual if job.webhook_events is None else parse_events(job.webhook_events)


def _batch_ids(job_ids: Collection[UUID]) -> Iterator[tuple[UUID, ...]]:
    ordered = sorted(job_ids)
    return (tuple(ordered[start : start + BATCH]) for start in range(0, len(ordered), BATCH))


MOST_BYTES = 20_000
LONGEST_MESSAGE = 500


def render_job_event(event: EventType, moment: datetime, job: Job, images: Sequence[Image]) -> bytes:
    """Return the body for the present state of *job*; metadata that would make it too large is left out."""
    data = _serialize_job(job, images)
    body = render_event(event, moment, data)
    if len(body) >= MOST_BYTES:
        body = render_event(event, moment, data | {"metadata": None})
    return body


def _serialize_job(job: Job, images: Sequence[Image]) -> dict[str, Any]:
    charged = [image for image in images if was_delivered(image)]
    error = None
    if job.error_code is not None:
        message = (job.error_message or "")[:LONGEST_MESSAGE]
        error = {"code": job.error_code, "message": message, "retryable": bool(job.error_retryable)}
    cost = {
        "gpu_seconds": sum(image.gpu_seconds for image in charged),
        "amount": format_amount(sum((image.amount for image in charged), Decimal(0))),
        "currency": charged[0].currency if charged else None,
    }
    return {
        "id": str(job.id),
        "object": "job",
        "status": job.status,
        "version": compute_job_version(job.status, job.attempt),
        "attempt": job.attempt,
        "model": job.model,
        "error": error,
        "images": [_serialize_image(image) for image in images],
        "cost": cost,
        "metadata": job.annotations,
        "retry_of": str(job.retry_of) if job.retry_of else None,
        "created_at": format_time(job.created_at),
        "started_at": format_time(job.started_at),
        "finished_at": format_time(job.finished_at),
    }


def _serialize_image(image: Image) -> dict[str, Any]:
    return {"id": str(image.id), "status": image.status, "amount": format_amount(image.amount)}
