"""Builders of test data: requests, job specs, queued jobs, presses, claims and image rows."""

import hashlib
from collections.abc import Collection
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from common.db.clock import now_sql
from common.db.engine import Database
from common.db.ids import create_id
from common.images.provenance import build_xmp_packet
from common.jobs import lifecycle
from common.jobs.attempts import Claim
from common.jobs.request import ImageRequest, OutputFormat
from common.jobs.spec import JobSpec
from common.states.jobs import ImageStatus, JobStatus, Verdict
from common.storage.keys import build_attempt_prefix, build_image_key
from common.tables import Image, Job, Press

LEASE = timedelta(seconds=60)
MAX_STRIKES = 3
MODEL = "painted"
PIXELS = b"\x89PNG not quite" + build_xmp_packet()
"""What stands for the file of a printed image: it carries the mark."""
DIGEST = hashlib.sha256(PIXELS).hexdigest()


def image_request(**changes: Any) -> ImageRequest:
    """Return a small, complete request."""
    values = {
        "prompt": "a lighthouse at dusk",
        "model": MODEL,
        "width": 64,
        "height": 64,
        "steps": 4,
        "guidance_scale": 5.0,
        "seed": 7,
    }
    return ImageRequest(**(values | changes))


def job_spec(owner: str = "ada", *, request: dict[str, Any] | None = None, **changes: Any) -> JobSpec:
    """Return a job spec of *owner*."""
    return JobSpec(owner=owner, request=image_request(**(request or {})), **changes)


def submit(database: Database, owner: str = "ada", *, max_queued: int = 10_000, **changes: Any) -> Job:
    """Queue one job of *owner* and return it."""
    with database.transaction() as session:
        return lifecycle.submit_job(session, job_spec(owner, **changes), max_queued)


def press(database: Database, **changes: Any) -> UUID:
    """Enter a press and return its id."""
    values = {
        "id": create_id(),
        "host": "localhost",
        "pid": 1,
        "accelerator": "none",
        "models": [MODEL],
        "price_per_hour": Decimal("0.60"),
        "currency": "USD",
    }
    with database.transaction() as session:
        row = Press(**(values | changes))
        session.add(row)
        return row.id


def claim(
    database: Database,
    press_id: UUID,
    *,
    models: Collection[str] = (MODEL,),
    warm_lanes: Collection[str] = (),
    lease: timedelta = LEASE,
    max_strikes: int = MAX_STRIKES,
) -> Claim | None:
    """Have a press take the best due job."""
    with database.transaction() as session:
        return lifecycle.claim_job(session, press_id, models, warm_lanes, lease=lease, max_strikes=max_strikes)


def running(database: Database, press_id: UUID | None = None, **changes: Any) -> Claim:
    """Queue a job, have a press claim it, and return the claim."""
    submit(database, **changes)
    held = claim(database, press_id or press(database))
    assert held is not None
    return held


def images(held: Claim, status: ImageStatus = ImageStatus.DELIVERED) -> list[Image]:
    """Return the rows of what a press printed for *held*."""
    is_blocked = status is ImageStatus.BLOCKED
    prefix = build_attempt_prefix(held.owner, held.job_id, held.attempt)
    return [
        Image(
            job_id=held.job_id,
            owner=held.owner,
            attempt=held.attempt,
            position=position,
            status=status,
            seed=seed,
            width=held.request.width,
            height=held.request.height,
            sha256=None if is_blocked else DIGEST,
            storage_key=None if is_blocked else build_image_key(prefix, position, DIGEST, OutputFormat.PNG),
            verdict=Verdict.BLOCK if is_blocked else Verdict.PASS,
            safety={},
            gpu_seconds=1.0,
            amount=Decimal(0) if is_blocked else Decimal("0.000166667"),
            currency="USD",
        )
        for position, seed in enumerate(held.request.seeds)
    ]


def lift_guards(session: Session) -> None:
    """Have PostgreSQL's triggers stand aside for this transaction, so that a test may break what they keep whole."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL session_replication_role = 'replica'"))


def put(database: Database, job_id: UUID, status: JobStatus) -> None:
    """Write a status past all guards, to see what the guards then allow."""
    with database.transaction() as session:
        lift_guards(session)
        session.execute(update(Job).where(Job.id == job_id).values(status=status))


def age(database: Database, job_id: UUID, column: str, by: timedelta) -> None:
    """Set one time of a job to *by* before now, as if that had passed."""
    with database.transaction() as session:
        lift_guards(session)
        session.execute(update(Job).where(Job.id == job_id).values({column: now_sql(session, -by)}))


def read(database: Database, job_id: UUID) -> Job:
    """Return a job as it stands."""
    with database.reading() as session:
        return session.get_one(Job, job_id)


def make_due(database: Database, job_id: UUID) -> None:
    """End a job's back-off."""
    age(database, job_id, "due_at", timedelta(seconds=1))
