"""Top-up, the only dispatcher: keeps enough notifications queued for the jobs that are due.

One rule covers a crash between commit and ring, a lost message, a flushed broker, and the feeding of campaigns.
"""

from sqlalchemy import select

from common.db.clock import StatementTime
from common.db.engine import Database
from common.jobs.conditions import QUEUED
from common.jobs.notifier import Notifier
from common.tables import Job, Model

WINDOW = 100
"""Pending messages per model: enough to keep presses busy for a tick, few enough that SQL decides the order."""


def notify_due_jobs(database: Database, notifier: Notifier) -> int:
    """Send ``min(rows due, window) − pending messages`` messages for each model; return how many."""
    with database.reading() as session:
        query = select(Job.id).where(QUEUED, Job.due_at <= StatementTime())
        query = query.order_by(Job.priority, Job.fair_tag).limit(WINDOW)  # the order of the index of each model
        due = {
            model: session.scalars(query.where(Job.model == model)).all()
            for model in session.scalars(select(Model.name)).all()
        }
    notified = 0
    for model, job_ids in due.items():
        if not job_ids:
            continue
        for job_id in job_ids[: max(0, len(job_ids) - notifier.count_pending(model))]:
            notifier.notify(model, job_id)
            notified += 1
    return notified
