"""Submit an order as a job: once per idempotency key, and committed before presses are notified."""

from typing import Any
from uuid import UUID

from flask import request

from api.jobs import serializers
from api.jobs.schemas import Job
from api.runtime.context import current_context
from api.web.errors import RefusedError
from common.failpoints import failpoint
from common.jobs import idempotency
from common.jobs.idempotency import Reservation
from common.jobs.spec import JobSpec
from common.logs import get_logger

log = get_logger(__name__)


def submit_job(order: JobSpec, header: str | None, body: Any) -> tuple[UUID, Job | None]:
    """Queue *order* once per idempotency key; return the job ID, and the job unless an earlier request created it."""
    context = current_context()
    reservation = None
    if header is not None:
        digest = idempotency.fingerprint_request(request.method, request.path, body)
        reservation = Reservation(order.owner, parse_idempotency_key(header), digest, order.id)
    outcome = context.intake.take(order, reservation)
    if outcome.inserted is None:
        return outcome.job_id, None
    log.info("job_queued", job_id=str(order.id), model=order.request.model, images=order.request.num_images)
    failpoint("rung")
    return order.id, serializers.serialize_new_job(outcome.inserted.job, outcome.inserted.queue_position, context)


def parse_idempotency_key(header: str) -> str:
    """Return the key in an ``Idempotency-Key`` header; raise RefusedError if it is not valid."""
    key = idempotency.parse_idempotency_key(header)
    if key is None:
        raise RefusedError("invalid_idempotency_key", "Use 1 to 255 letters, digits, dashes or underscores.")
    return key
