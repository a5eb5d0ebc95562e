"""The bodies of messages: rendered once, in the transaction that makes them true, and kept as the bytes they are.

Links are left out, because they expire: receivers ask the api for them.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from common.tables import Image, Job
from common.tables.states import version_of
from common.tables.webhook_states import EventType
from common.usage import was_delivered

MOST_BYTES = 20_000
LONGEST_MESSAGE = 500


def render_job(event: EventType, moment: datetime, job: Job, images: Sequence[Image]) -> bytes:
    """Return the body that tells of *job* as it now is; metadata that would make it too large are left out."""
    data = _describe(job, images)
    body = render(event, moment, data)
    if len(body) >= MOST_BYTES:
        body = render(event, moment, data | {"metadata": None})
    return body


def render_test(moment: datetime, endpoint_id: UUID) -> bytes:
    """Return the body of a message that its owner asked for."""
    return render(EventType.WEBHOOK_TEST, moment, {"webhook_id": str(endpoint_id)})


def _describe(job: Job, images: Sequence[Image]) -> dict[str, Any]:
    charged = [image for image in images if was_delivered(image)]
    error = None
    if job.error_code is not None:
        message = (job.error_message or "")[:LONGEST_MESSAGE]
        error = {"code": job.error_code, "message": message, "retryable": bool(job.error_retryable)}
    cost = {
        "gpu_seconds": sum(image.gpu_seconds for image in charged),
        "amount": spell(sum((image.amount for image in charged), Decimal(0))),
        "currency": charged[0].currency if charged else None,
    }
    return {
        "id": str(job.id),
        "object": "job",
        "status": job.status,
        "version": version_of(job.status, job.attempt),
        "attempt": job.attempt,
        "model": job.model,
        "error": error,
        "images": [_describe_image(image) for image in images],
        "cost": cost,
        "metadata": job.annotations,
        "retry_of": str(job.retry_of) if job.retry_of else None,
        "created_at": spell_time(job.created_at),
        "started_at": spell_time(job.started_at),
        "finished_at": spell_time(job.finished_at),
    }


def _describe_image(image: Image) -> dict[str, Any]:
    return {"id": str(image.id), "status": image.status, "amount": spell(image.amount)}


def render(event: EventType, moment: datetime, data: dict[str, Any]) -> bytes:
    """Return the body of a message that says *data*."""
    envelope = {"type": event, "timestamp": spell_time(moment), "data": data}
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()


def spell(amount: Decimal) -> str:
    """Return *amount* as it stands in JSON."""
    return f"{amount.normalize():f}"


def spell_time(time: datetime | None) -> str | None:
    """Return *time* as it stands in JSON."""
    return None if time is None else time.isoformat().replace("+00:00", "Z")
