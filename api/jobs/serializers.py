"""Convert jobs to their JSON representation."""

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy.orm import Session

from api.images import queries, schemas as image_schemas
from api.images.schemas import JobSafety
from api.images.serializers import serialize_image, serialize_prompt_tokens
from api.jobs import schemas as job_schemas
from api.runtime.context import AppContext
from common.jobs import fair_queue
from common.jobs.request import ImageRequest
from common.states.jobs import JobStatus, compute_job_version
from common.states.webhooks import parse_events
from common.tables import Image, Job
from common.usage.usage import was_delivered


def serialize_jobs(session: Session, rows: Sequence[Job], context: AppContext) -> list[job_schemas.Job]:
    """Return the representations of *rows*."""
    images = queries.list_images_by_job(session, rows)
    queued = [row for row in rows if row.status is JobStatus.QUEUED]
    ahead = fair_queue.count_jobs_ahead_of_each(session, queued)
    return [_serialize_job_row(row, images.get(row.id, []), ahead.get(row.id), context) for row in rows]


def serialize_job(session: Session, row: Job, context: AppContext) -> job_schemas.Job:
    """Return the representation of one job."""
    return serialize_jobs(session, [row], context)[0]


def serialize_new_job(row: Job, queue_position: int, context: AppContext) -> job_schemas.Job:
    """Return the representation of a newly queued job."""
    return _serialize_job_row(row, [], queue_position, context)


def tell_prompt_tokens(job: job_schemas.Job, context: AppContext) -> job_schemas.Job:
    """Return *job* with how much of its prompt the model will read, unless it has ended.

    The count may read from the database, so no session must be open.
    """
    if job.status.is_terminal:
        return job
    tokens = serialize_prompt_tokens(job.request.model, job.request.prompt, context)
    return job.model_copy(update={"prompt_tokens": tokens})


def _serialize_job_row(
    row: Job, images: Sequence[Image], queue_position: int | None, context: AppContext
) -> job_schemas.Job:
    error = None
    if row.error_code is not None:
        error = job_schemas.JobError(
            code=row.error_code, message=row.error_message or "", retryable=bool(row.error_retryable)
        )
    return job_schemas.Job(
        id=row.id,
        status=row.status,
        priority=row.priority,
        request=serialize_request(ImageRequest.known_part(row.request)),
        progress=job_schemas.Progress(step=row.progress_step, steps=row.steps),
        queue_position=queue_position,
        attempt=row.attempt,
        version=compute_job_version(row.status, row.attempt),
        prompt_tokens=None,
        images=[serialize_image(image, context) for image in images],
        cost=sum_cost(images, context),
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


def serialize_request(request: ImageRequest) -> job_schemas.Request:
    """Return the representation of a job's request."""
    strength = None if request.init_image is None else request.strength
    policy = None if request.safety is None else JobSafety(**request.safety.model_dump())
    return job_schemas.Request(**request.model_dump() | {"strength": strength, "safety": policy})


def sum_cost(images: Sequence[Image], context: AppContext) -> image_schemas.Cost:
    """Return the amount charged for these images of one job."""
    charged = [image for image in images if was_delivered(image)]
    return image_schemas.Cost(
        gpu_seconds=sum(image.gpu_seconds for image in charged),
        amount=sum((image.amount for image in charged), Decimal(0)),
        currency=charged[0].currency if charged else context.settings.currency,
    )
