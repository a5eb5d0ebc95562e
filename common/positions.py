"""Where a queued job stands in the order in which presses claim; ``common.claims`` holds the order itself."""

from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.orm import Session

from common.claims import PRIORITIES
from common.database import now
from common.models import Job
from common.states import JobStatus

FARTHEST = 1000
"""Counting stops here, so that asking stays cheap however long the queue is."""


def count_ahead(session: Session, job: Job) -> int | None:
    """Return how many due jobs of its model will be claimed before *job*, 1000 at most; None if it is not queued."""
    if job.status is not JobStatus.QUEUED:
        return None
    sooner = PRIORITIES[: PRIORITIES.index(job.priority)]
    before = and_(Job.priority == job.priority, tuple_(Job.fair_tag, Job.id) < tuple_(job.fair_tag, job.id))
    ahead = (
        select(Job.id)
        .where(Job.status == JobStatus.QUEUED, Job.model == job.model, Job.due_at <= now(session))
        .where(or_(Job.priority.in_(sooner), before))
        .limit(FARTHEST)
    )
    return session.scalar(select(func.count()).select_from(ahead.subquery())) or 0
