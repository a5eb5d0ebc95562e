"""When a press must start again, and how it does: it leaves in order, and whoever supervises it starts another."""

import os
import signal
from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import select

from common.db.clock import now
from common.db.engine import Database
from common.tables import Job
from common.tables.states import JobStatus


def start_again() -> None:
    """Ask this process to leave in order."""
    os.kill(os.getpid(), signal.SIGTERM)


def is_work_waiting(database: Database, models: Collection[str], seconds: float) -> bool:
    """Tell whether a job for one of *models* has been due for so long; who is idle and hears no bell then is deaf."""
    with database.reading() as session:
        due = select(Job.id).where(
            Job.status == JobStatus.QUEUED,
            Job.model.in_(models),
            Job.due_at < now(session, -timedelta(seconds=seconds)),
        )
        return session.scalar(due.limit(1)) is not None
