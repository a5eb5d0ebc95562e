"""How an order becomes a job: once per idempotency key, committed before the bell is rung and the answer given."""

from typing import Any
from uuid import UUID

from flask import request

from api.jobs import serializers
from api.jobs.schemas import Job
from api.runtime.batch_insert import Made
from api.runtime.context import services
from api.web.errors import RefusedError
from common.failpoints import fault
from common.jobs import idempotency
from common.jobs.idempotency import Reservation
from common.jobs.spec import Order
from common.logs import get_logger

logger = get_logger(__name__)


def submit(order: Order, header: str | None, body: Any) -> tuple[UUID, Job | None]:
    """Queue *order*, once per idempotency key; return the job's id, and the job unless an earlier request made it."""
    context = services()
    reservation = None
    if header is not None:
        digest = idempotency.fingerprint(request.method, request.path, body)
        reservation = Reservation(order.owner, read_key(header), digest, order.id)
    taken = context.intake.take(order, reservation)
    if not isinstance(taken, Made):
        return taken, None
    logger.info("job queued", job_id=str(order.id), model=order.request.model, images=order.request.num_images)
    fault("rung")
    return order.id, serializers.show_new_job(taken.job, taken.queue_position, context)


def read_key(header: str) -> str:
    """Return the key that an ``Idempotency-Key`` header carries; raise RefusedError."""
    key = idempotency.parse(header)
    if key is None:
        raise RefusedError("invalid_idempotency_key", "Use 1 to 255 letters, digits, dashes or underscores.")
    return key
