"""Where a queued job stands in the order in which presses claim; ``common.claims`` holds the order itself."""

from bisect import bisect_left
from collections.abc import Iterable
from functools import cache
from itertools import groupby
from uuid import UUID

from sqlalchemy import Select, Tuple, and_, bindparam, func, or_, select, tuple_
from sqlalchemy.orm import Session

from common.claims import PRIORITIES, QUEUED
from common.db.clock import Clock
from common.tables import Job
from common.tables.states import JobStatus, Priority

FARTHEST = 1000
"""Counting stops here, so that asking stays cheap however long the queue is."""


def count_ahead(session: Session, job: Job) -> int | None:
    """Return how many due jobs of its model will be claimed before *job*, 1000 at most; None if it is not queued."""
    if job.status is not JobStatus.QUEUED:
        return None
    place = {"model": job.model, "to_tag": job.fair_tag, "to_id": job.id}
    return session.connection().scalar(_ahead(job.priority), place) or 0


def count_all_ahead(session: Session, jobs: Iterable[Job]) -> dict[UUID, int]:
    """Return by id, for jobs that were queued just now, what ``count_ahead`` returns for each."""
    counts: dict[UUID, int] = {}
    ordered = sorted(jobs, key=lambda job: (job.model, job.priority, *_place(job)))
    for _, line in groupby(ordered, key=lambda job: (job.model, job.priority)):
        first, *others = line
        ahead = counts[first.id] = count_ahead(session, first) or 0
        between = _list_between(session, first, others[-1]) if others and ahead < FARTHEST else []
        counts |= {job.id: min(FARTHEST, ahead + bisect_left(between, _place(job))) for job in others}
    return counts


def _place(job: Job) -> tuple[int, UUID]:
    return job.fair_tag, job.id


def _list_between(session: Session, first: Job, last: Job) -> list[tuple[int, UUID]]:
    """Return the places from the first job's up to the last one's, both of one model and priority."""
    bounds = {"model": first.model, "priority": first.priority, "from_tag": first.fair_tag, "from_id": first.id}
    rows = session.connection().execute(_BETWEEN, bounds | {"to_tag": last.fair_tag, "to_id": last.id})
    return [(row.fair_tag, row.id) for row in rows]


def _bound(name: str) -> Tuple:
    return tuple_(bindparam(f"{name}_tag", type_=Job.fair_tag.type), bindparam(f"{name}_id", type_=Job.id.type))


_here = tuple_(Job.fair_tag, Job.id)
_BETWEEN = (
    select(Job.fair_tag, Job.id)
    .where(QUEUED, Job.model == bindparam("model"), Job.priority == bindparam("priority"), Job.due_at <= Clock())
    .where(_bound("from") <= _here, _here < _bound("to"))
    .order_by(Job.fair_tag, Job.id)
    .limit(FARTHEST)
)


@cache
def _ahead(priority: Priority) -> Select[int]:
    before = and_(Job.priority == priority, _here < _bound("to"))
    sooner = PRIORITIES[: PRIORITIES.index(priority)]
    ahead = (
        select(Job.id)
        .where(QUEUED, Job.model == bindparam("model"), Job.due_at <= Clock())
        .where(or_(Job.priority.in_(sooner), before) if sooner else before)
        .limit(FARTHEST)
    )
    return select(func.count()).select_from(ahead.subquery())
