"""Query jobs by owner; jobs of other owners are reported as missing."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.web.validation import refuse_not_found
from common.states.jobs import JobStatus
from common.tables import Job


def load_job(session: Session, owner: str, job_id: UUID) -> Job:
    """Return a job of *owner*; raise RefusedError with ``not_found``."""
    job = session.scalar(select(Job).where(Job.id == job_id, Job.owner == owner))
    if job is None:
        raise refuse_not_found()
    return job


def list_jobs(
    session: Session, owner: str, *, status: JobStatus | None, model: str | None, after: UUID | None, limit: int
) -> list[Job]:
    """Return jobs of *owner*, newest first, starting after the job *after*."""
    query = select(Job).where(Job.owner == owner).order_by(Job.id.desc()).limit(limit)
    if status is not None:
        query = query.where(Job.status == status)
    if model is not None:
        query = query.where(Job.model == model)
    if after is not None:
        query = query.where(Job.id < after)
    return list(session.scalars(query))
