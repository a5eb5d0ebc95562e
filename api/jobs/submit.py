"""Submit a job: once per idempotency key, and committed before presses are notified."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from flask import request

from api.auth.bearer import current_caller
from api.jobs import queries, serializers
from api.jobs.schemas import Job
from api.runtime.context import current_context
from api.web.errors import RefusedError
from common.failpoints import failpoint
from common.jobs import idempotency
from common.jobs.idempotency import Reservation
from common.jobs.spec import JobSpec
from common.logs import get_logger

T = TypeVar("T")

log = get_logger(__name__)


@dataclass(frozen=True)
class Created(Generic[T]):
    """A resource, and whether this request created it, rather than an earlier one with the same idempotency key."""

    resource: T
    is_new: bool


def submit_job(spec: JobSpec, header: str | None, body: Any) -> Created[Job]:
    """Queue *spec* once per idempotency key and return its job; raise RefusedError."""
    context = current_context()
    outcome = context.inserter.submit(spec, build_reservation(header, body, spec.id))
    if outcome.inserted is None:
        with context.database.reading() as session:
            row = queries.load_job(session, spec.owner, outcome.job_id)
            return Created(serializers.serialize_job(session, row, context), is_new=False)
    log.info("job_queued", job_id=str(spec.id), model=spec.request.model, images=spec.request.num_images)
    failpoint("notified")
    job, position = outcome.inserted.job, outcome.inserted.queue_position
    return Created(serializers.serialize_new_job(job, position, context), is_new=True)


def build_reservation(header: str | None, body: Any, resource_id: UUID) -> Reservation | None:
    """Return the reservation of an ``Idempotency-Key`` for the resource that *body* creates; None without the header.

    Raises RefusedError if the key is not valid.
    """
    if header is None:
        return None
    key = idempotency.parse_idempotency_key(header)
    if key is None:
        raise RefusedError("invalid_idempotency_key", "Use 1 to 255 letters, digits, dashes or underscores.")
    digest = idempotency.fingerprint_request(request.method, request.path, body)
    return Reservation(current_caller().owner, key, digest, resource_id)
