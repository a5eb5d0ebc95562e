"""Restarting a press: when it is needed, and how to shut down so that the supervisor starts a new one."""

import os
import signal
from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import select

from common.db.clock import now_sql
from common.db.engine import Database
from common.tables import Job
from common.tables.states import JobStatus


def restart_press() -> None:
    """Ask this process to shut down gracefully."""
    os.kill(os.getpid(), signal.SIGTERM)


def is_work_waiting(database: Database, models: Collection[str], seconds: float) -> bool:
    """Return whether a job for one of *models* has been due for that long; an idle press has then lost its queue."""
    with database.reading() as session:
        due = select(Job.id).where(
            Job.status == JobStatus.QUEUED,
            Job.model.in_(models),
            Job.due_at < now_sql(session, -timedelta(seconds=seconds)),
        )
        return session.scalar(due.limit(1)) is not None
