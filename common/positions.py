"""Where a queued job stands in the order in which presses claim; ``common.claims`` holds the order itself."""

from functools import cache

from sqlalchemy import Select, and_, bindparam, func, or_, select, tuple_
from sqlalchemy.orm import Session

from common.claims import PRIORITIES, QUEUED
from common.database_clock import Clock
from common.models import Job
from common.states import JobStatus, Priority

FARTHEST = 1000
"""Counting stops here, so that asking stays cheap however long the queue is."""


def count_ahead(session: Session, job: Job) -> int | None:
    """Return how many due jobs of its model will be claimed before *job*, 1000 at most; None if it is not queued."""
    if job.status is not JobStatus.QUEUED:
        return None
    place = {"model": job.model, "fair_tag": job.fair_tag, "id": job.id}
    return session.connection().scalar(_ahead(job.priority), place) or 0


@cache
def _ahead(priority: Priority) -> Select[int]:
    here = tuple_(bindparam("fair_tag", type_=Job.fair_tag.type), bindparam("id", type_=Job.id.type))
    before = and_(Job.priority == priority, tuple_(Job.fair_tag, Job.id) < here)
    sooner = PRIORITIES[: PRIORITIES.index(priority)]
    ahead = (
        select(Job.id)
        .where(QUEUED, Job.model == bindparam("model"), Job.due_at <= Clock())
        .where(or_(Job.priority.in_(sooner), before) if sooner else before)
        .limit(FARTHEST)
    )
    return select(func.count()).select_from(ahead.subquery())
