"""Notices a consumer that receives no notification while work is due."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import select

from common.db.clock import StatementTime
from common.db.engine import Database
from common.jobs.conditions import QUEUED
from common.tables import Job


def is_work_waiting(database: Database, models: Collection[str], seconds: float) -> bool:
    """Return whether a job for one of *models* has been due for so long that an idle press must have missed it."""
    with database.reading() as session:
        late = Job.due_at < StatementTime(-timedelta(seconds=seconds))
        due = select(Job.id).where(QUEUED, Job.model.in_(models), late)
        return session.scalar(due.limit(1)) is not None
