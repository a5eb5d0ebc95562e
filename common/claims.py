"""Which job is next: interactive before bulk, owners in fair turns, the warm lane first within a bound.

Fairness is start-time fair queuing (Goyal, Vin and Cheng, 1996): each job gets a tag when it is queued, one image
further than the last queued job of its flow, or the front of the queue if its flow has none. The job with the least
tag is next, so choosing costs one look at an index however long the queue is. ``common.places`` gives the tags.
"""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Select, literal_column, or_, select
from sqlalchemy.orm import Session

from common.db.clock import now
from common.tables import Job
from common.tables.states import JobStatus, Priority

WARM_LANE_PATIENCE = timedelta(seconds=5)
"""How long the job at the front may be passed over by jobs of a lane that the press has warm."""

PRIORITIES = (Priority.INTERACTIVE, Priority.BULK)


QUEUED = Job.status == literal_column(f"'{JobStatus.QUEUED}'")
"""Spelt out, because no plan for just any status can use an index of the queued."""


def choose(
    session: Session, models: Collection[str], warm_lanes: Collection[str], priorities: Collection[Priority]
) -> UUID | None:
    """Return the job that a press with *models* should run now, locked for this transaction, or None."""
    for priority in PRIORITIES:
        if priority not in priorities:
            continue
        head = session.execute(_due(session, models, priority)).first()
        if head is None:
            continue
        job_id, lane, is_fresh = head
        if warm_lanes and lane not in warm_lanes and is_fresh:
            warm = session.execute(_due(session, models, priority).where(Job.lane.in_(warm_lanes))).first()
            return warm[0] if warm is not None else job_id
        return job_id
    return None


def _due(session: Session, models: Collection[str], priority: Priority) -> Select[UUID, str, bool]:
    time = now(session)
    return (
        select(Job.id, Job.lane, (Job.due_at > now(session, -WARM_LANE_PATIENCE)).label("is_fresh"))
        .where(Job.status == JobStatus.QUEUED, Job.model.in_(models), Job.priority == priority, Job.due_at <= time)
        .where(or_(Job.deadline_at.is_(None), Job.deadline_at > time))
        .order_by(Job.fair_tag, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
