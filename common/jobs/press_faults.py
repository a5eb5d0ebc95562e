"""Tells a press that cannot print from jobs that nobody can print, by what other presses made of the same jobs."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.jobs.fair_queue import fetch_others_in_service
from common.states.jobs import Outcome
from common.tables import Attempt, Job


def count_faults_of_press(session: Session, press_id: UUID, job_ids: Collection[UUID], silence: timedelta) -> int:
    """Return how many of some jobs that failed on a press count against it.

    A job counts if another press has printed it, or if no other press in service offers its model: then nobody can
    show that the job is at fault. A press that was silent for *silence* is not in service.
    """
    printed = select(Attempt.job_id).where(
        Attempt.job_id.in_(job_ids), Attempt.press_id != press_id, Attempt.outcome == Outcome.SUCCEEDED
    )
    elsewhere = set(session.scalars(printed))
    offered = {name for other in fetch_others_in_service(session, press_id, silence) for name in other.models}
    jobs = session.execute(select(Job.id, Job.model).where(Job.id.in_(job_ids)))
    return sum(job.id in elsewhere or job.model not in offered for job in jobs)
