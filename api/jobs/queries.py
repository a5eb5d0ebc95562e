"""Query jobs by owner; jobs of other owners are reported as missing."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.web.validation import refuse_not_found
from common.tables import Job


def load_job(session: Session, owner: str, job_id: UUID) -> Job:
    """Return a job of *owner*; raise RefusedError with ``not_found``."""
    job = session.scalar(select(Job).where(Job.id == job_id, Job.owner == owner))
    if job is None:
        raise refuse_not_found()
    return job
