"""How an order becomes a job: with its idempotency key in one transaction, and only then the bell."""

from typing import Any
from uuid import UUID

from flask import request

from api import presentation
from api.context import services
from api.errors import RefusedError
from api.schemas.jobs import Job
from common import idempotency, jobs
from common.errors import BellUnavailableError
from common.faults import fault
from common.logs import get_logger
from common.orders import Order
from common.webhooks import endpoints

logger = get_logger(__name__)


def submit(order: Order, header: str | None, body: Any) -> tuple[UUID, Job | None]:
    """Queue *order*, once per idempotency key; return the job's id, and the job unless an earlier request made it."""
    context = services()
    with context.database.transaction() as session:
        earlier = None
        if header is not None:
            key = _parse(header)
            digest = idempotency.fingerprint(request.method, request.path, body)
            earlier = idempotency.reserve(
                session, order.owner, key, digest, order.id, context.settings.idempotency_hours
            )
        if earlier is None:
            if order.webhook_url is not None:
                endpoints.see_to_direct(session, context.sealer, order.owner)
            row = jobs.submit(session, order, context.settings.max_queued_jobs)
            shown = presentation.show_job(session, row, context)  # here, while there is a transaction to look in
            fault("submitting")
    if earlier is not None:
        return earlier, None
    fault("submitted")
    _ring(order)
    fault("rung")
    return order.id, shown


def _parse(header: str) -> str:
    key = idempotency.parse(header)
    if key is None:
        raise RefusedError("invalid_idempotency_key", "Use 1 to 255 letters, digits, dashes or underscores.")
    return key


def _ring(order: Order) -> None:
    logger.info("job queued", job_id=str(order.id), model=order.request.model, images=order.request.num_images)
    try:
        services().bell.ring(order.request.model, order.id)
    except BellUnavailableError as error:
        # The row is the job: the clerk rings again for whatever is due.
        logger.warning("bell unheard", job_id=str(order.id), reason=error.code)
