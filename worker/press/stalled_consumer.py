"""Notices a consumer that receives no notification while work is due."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import select

from common.db.clock import now_sql
from common.db.engine import Database
from common.states.jobs import JobStatus
from common.tables import Job


def is_work_waiting(database: Database, models: Collection[str], seconds: float) -> bool:
    """Return whether a job for one of *models* has been due for so long that an idle press must have missed it."""
    with database.reading() as session:
        due = select(Job.id).where(
            Job.status == JobStatus.QUEUED,
            Job.model.in_(models),
            Job.due_at < now_sql(session, -timedelta(seconds=seconds)),
        )
        return session.scalar(due.limit(1)) is not None
