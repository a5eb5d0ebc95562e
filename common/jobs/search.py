"""Searches an owner's jobs by status, model, class and day, and by words among the most recent ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from common.db.ids import compute_first_id
from common.states.jobs import JobStatus, Priority
from common.tables import Job

READ_THROUGH = 2000
"""Jobs that one search for words reads; the next page reads on. No index holds the words of prompts."""


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are looked for; what is None or empty narrows nothing."""

    status: JobStatus | None = None
    model: str | None = None
    priority: Priority | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: str = ""


class JobPage(NamedTuple):
    """A page of jobs, and the job after which the next page begins; None on the last page."""

    rows: Sequence[Job]
    next_after: UUID | None


def search_jobs(session: Session, owner: str, wanted: JobFilter, *, after: UUID | None, limit: int) -> JobPage:
    """Return jobs of *owner*, the newest first, beginning after the job *after*."""
    query = _apply_filter(select(Job).where(Job.owner == owner), wanted, after)
    if not wanted.words:
        rows = session.scalars(query.order_by(Job.id.desc()).limit(limit + 1)).all()
        return JobPage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)
    return _search_text(session, owner, wanted, after, limit)


def _search_text(session: Session, owner: str, wanted: JobFilter, after: UUID | None, limit: int) -> JobPage:
    ids = (
        _apply_filter(select(Job.id).where(Job.owner == owner), wanted, after)
        .order_by(Job.id.desc())
        .limit(READ_THROUGH)
    )
    read = ids.subquery()
    pattern = "%" + wanted.words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    texts = (Job.request["prompt"].as_string(), Job.recipient_id, Job.error_code)
    matches = or_(*(func.lower(text).like(pattern.lower(), escape="\\") for text in texts))
    query = select(Job).join(read, read.c.id == Job.id).where(matches).order_by(Job.id.desc()).limit(limit + 1)
    rows = session.scalars(query).all()
    if len(rows) > limit:
        return JobPage(rows[:limit], rows[limit - 1].id)
    last_read = session.scalar(ids.offset(READ_THROUGH - 1).limit(1))
    return JobPage(rows, last_read)


def _apply_filter(query: Select[Any], wanted: JobFilter, after: UUID | None) -> Select[Any]:
    for column, value in ((Job.status, wanted.status), (Job.model, wanted.model), (Job.priority, wanted.priority)):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(Job.id >= compute_first_id(wanted.since))
    if wanted.until is not None:
        query = query.where(Job.id < compute_first_id(wanted.until))
    return query if after is None else query.where(Job.id < after)
