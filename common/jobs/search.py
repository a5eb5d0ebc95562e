"""Searches an owner's jobs by status, model, class, day and words, a bounded number of jobs at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from common.db import pages
from common.db.ids import compute_first_id
from common.db.pages import FoundPage
from common.states.jobs import JobStatus, Priority
from common.tables import Job


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are looked for; what is None or empty narrows nothing."""

    status: JobStatus | None = None
    model: str | None = None
    priority: Priority | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: str = ""


def search_jobs(session: Session, owner: str, wanted: JobFilter, *, after: UUID | None, limit: int) -> FoundPage[Job]:
    """Return jobs of *owner*, the newest first, beginning after the job *after*."""
    read = [Job.owner == owner]
    if wanted.status is not None:
        read.append(Job.status == wanted.status)
    if wanted.since is not None:
        read.append(Job.id >= compute_first_id(wanted.since))
    if wanted.until is not None:
        read.append(Job.id < compute_first_id(wanted.until))
    found = pages.find_page(
        session, Job.id, read, lambda job: select(job).where(*_build_conditions(job, wanted)), after=after, limit=limit
    )
    return FoundPage([job for (job,) in found.rows], found.next_after)


def _build_conditions(job: type[Job], wanted: JobFilter) -> Iterator[ColumnElement[bool]]:
    """Yield what is asked of each job and no index holds."""
    if wanted.model is not None:
        yield job.model == wanted.model
    if wanted.priority is not None:
        yield job.priority == wanted.priority
    if wanted.words:
        pattern = "%" + wanted.words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        texts = (job.request["prompt"].as_string(), job.recipient_id, job.error_code)
        yield or_(*(func.lower(text).like(pattern.lower(), escape="\\") for text in texts))
