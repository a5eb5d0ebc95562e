"""Selects the next job: interactive before bulk, fair between owners, warm lanes preferred within a bound.

Fairness is start-time fair queuing (Goyal, Vin and Cheng, 1996): each job gets a tag when it is queued, one image
further than the last queued job of its flow, or the front of the queue if its flow has none. The job with the lowest
tag is next, so choosing takes an index look-up for each model, however long the queue is.

The front is read from an index as well: a row that held it would be written by every claim, one after the other.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Row, Select, Tuple, and_, bindparam, func, or_, select, tuple_, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.db.clock import DatabaseClock, StatementTime
from common.jobs.conditions import QUEUED
from common.jobs.spec import JobSpec
from common.states.jobs import JobStatus, Priority
from common.tables import Attempt, Job, Press

WARM_LANE_PATIENCE = timedelta(seconds=5)
"""How long jobs of a lane that is warm on a press may overtake the job at the front of the queue."""

MOST_LOCKED = 50
"""Of so many jobs at the head of each model's line one is claimed: more than other presses can be claiming just now."""

PRIORITIES = (Priority.INTERACTIVE, Priority.BULK)


def choose_job(
    session: Session,
    models: Collection[str],
    warm_lanes: Collection[str],
    priorities: Collection[Priority],
    excluded: Collection[UUID] = (),
) -> UUID | None:
    """Return the job that a press with *models* should run now, locked for this transaction, or None."""
    for priority in PRIORITIES:
        if priority not in priorities:
            continue
        head = _lock_head(session, Job.model, models, priority, excluded)
        if head is None:
            continue
        if warm_lanes and head.lane not in warm_lanes and head.is_fresh:
            return (_lock_head(session, Job.lane, warm_lanes, priority, excluded) or head).id
        return head.id
    return None


def fetch_others_in_service(session: Session, press_id: UUID, silence: timedelta) -> Sequence[Row[UUID, list[str]]]:
    """Return the id and the models of every other press in service; one that was silent for *silence* is not."""
    in_service = select(Press.id, Press.models).where(
        Press.id != press_id,
        Press.stopped_at.is_(None),
        Press.fault.is_(None),
        Press.heartbeat_at > StatementTime(-silence),
    )
    return session.execute(in_service).all()


def find_jobs_for_others(session: Session, press_id: UUID, job_ids: Collection[UUID], silence: timedelta) -> set[UUID]:
    """Return those of some jobs that another press should try: one that is in service and has not tried them yet.

    A press that was silent for *silence* is not in service.
    """
    others = fetch_others_in_service(session, press_id, silence) if job_ids else ()
    if not others:
        return set()
    jobs = session.execute(select(Job.id, Job.model).where(Job.id.in_(job_ids), Job.status == JobStatus.QUEUED)).all()
    tried = {
        (row.job_id, row.press_id)
        for row in session.execute(select(Attempt.job_id, Attempt.press_id).where(Attempt.job_id.in_(job_ids)))
    }
    return {job.id for job in jobs if any(job.model in it.models and (job.id, it.id) not in tried for it in others)}


class _Head(NamedTuple):
    id: UUID
    lane: str
    is_fresh: bool


def _lock_head(
    session: Session,
    line: InstrumentedAttribute[str],
    names: Collection[str],
    priority: Priority,
    excluded: Collection[UUID],
) -> _Head | None:
    """Lock and return the first due job of the lines *names* (models, or lanes) that nobody has locked."""
    if not names:
        return None
    wanted = {f"name_{number}": name for number, name in enumerate(names)}
    query = _select_head(line, len(names), is_narrowed=bool(excluded))
    row = session.connection().execute(query, wanted | {"priority": priority, "excluded": list(excluded)}).first()
    return None if row is None else _Head(*row)


@cache
def _select_head(line: InstrumentedAttribute[str], lines: int, *, is_narrowed: bool) -> Select[UUID, str, bool]:
    """Return the query of ``_lock_head`` for so many lines.

    The heads of the lines are read without a lock and merged in the fair order, so that a press locks one job and not
    one of each line.
    """
    time = StatementTime()
    is_due = and_(QUEUED, Job.due_at <= time, or_(Job.deadline_at.is_(None), Job.deadline_at > time))
    due = select(Job.id, Job.fair_tag).where(Job.priority == bindparam("priority"), is_due)
    if is_narrowed:
        due = due.where(Job.id.not_in(bindparam("excluded", expanding=True)))
    each = (due.where(line == bindparam(f"name_{number}")) for number in range(lines))
    firsts = (one.order_by(Job.fair_tag, Job.id).limit(MOST_LOCKED).subquery() for one in each)
    heads = union_all(*map(select, firsts)).subquery()
    return (
        select(Job.id, Job.lane, Job.due_at > StatementTime(-WARM_LANE_PATIENCE))
        .join(heads, heads.c.id == Job.id)
        .where(is_due)  # once more: another press may have claimed it since it was read
        .order_by(heads.c.fair_tag, heads.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=Job)
    )


class Slot(NamedTuple):
    """The position of a new job in the fair order, and the time at which it was assigned."""

    tag: int
    moment: datetime


# An owner's own flow only: how many jobs its campaigns may queue is limited where these are submitted.
_of_owner = select(Job.id).where(QUEUED, Job.flow == bindparam("owner")).limit(bindparam("most")).subquery()
_of_priority = (QUEUED, Job.priority == bindparam("priority"))
_after_last = (
    select(Job.fair_tag + Job.num_images)
    .where(*_of_priority, Job.flow == bindparam("flow"))
    .order_by(Job.fair_tag.desc())
    .limit(1)
)
_front = select(func.min(Job.fair_tag)).where(*_of_priority)
_SLOT_QUERY = select(
    DatabaseClock(),
    select(func.count()).select_from(_of_owner).scalar_subquery(),
    func.coalesce(_after_last.scalar_subquery(), _front.scalar_subquery(), 0),
)


class FairQueue:
    """Assigns slots to new jobs, each as if the jobs before it were in the queue already.

    An owner may have *most* jobs in the queue; the jobs of its campaigns do not count.
    """

    def __init__(self, session: Session, most: int) -> None:
        self._session = session
        self._most = most
        self._next: dict[tuple[str, Priority], Slot] = {}
        self._queued: dict[str, int] = {}

    def assign(self, spec: JobSpec) -> Slot | None:
        """Return the slot of the next job, or None if its owner has too many jobs in the queue."""
        line = (spec.flow, spec.priority)
        if line not in self._next:
            self._fetch_slot(spec)
        if spec.campaign_id is None:
            if self._queued[spec.owner] >= self._most:
                return None
            self._queued[spec.owner] += 1
        slot = self._next[line]
        self._next[line] = slot._replace(tag=slot.tag + spec.request.num_images)
        return slot

    def _fetch_slot(self, spec: JobSpec) -> None:
        most = self._most if spec.campaign_id is None else 0
        wanted = {"owner": spec.owner, "flow": spec.flow, "priority": spec.priority, "most": most}
        moment, queued, tag = self._session.connection().execute(_SLOT_QUERY, wanted).one()
        self._next[spec.flow, spec.priority] = Slot(tag, moment)
        if spec.campaign_id is None:
            self._queued.setdefault(spec.owner, queued)


FARTHEST = 1000
"""Counting stops here, so that it stays cheap however long the queue is."""


def count_jobs_ahead(session: Session, job: Job) -> int | None:
    """Return how many due jobs of its model will be claimed before *job*, at most 1000; None if it is not queued."""
    if job.status is not JobStatus.QUEUED:
        return None
    place = {"model": job.model, "to_tag": job.fair_tag, "to_id": job.id}
    return session.connection().scalar(_select_ahead_count(job.priority), place) or 0


def count_jobs_ahead_of_each(session: Session, jobs: Iterable[Job]) -> dict[UUID, int]:
    """Return by id what ``count_jobs_ahead`` returns for each of some jobs that were queued just now."""
    counts: dict[UUID, int] = {}
    ordered = sorted(jobs, key=lambda job: (job.model, job.priority, *_get_position(job)))
    for _, line in groupby(ordered, key=lambda job: (job.model, job.priority)):
        first, *others = line
        ahead = counts[first.id] = count_jobs_ahead(session, first) or 0
        between = _list_positions_between(session, first, others[-1]) if others and ahead < FARTHEST else []
        counts |= {job.id: min(FARTHEST, ahead + bisect_left(between, _get_position(job))) for job in others}
    return counts


def _get_position(job: Job) -> tuple[int, UUID]:
    return job.fair_tag, job.id


def _list_positions_between(session: Session, first: Job, last: Job) -> list[tuple[int, UUID]]:
    """Return the positions from the first job up to the last, both of one model and priority."""
    bounds = {"model": first.model, "priority": first.priority, "from_tag": first.fair_tag, "from_id": first.id}
    rows = session.connection().execute(_POSITIONS_BETWEEN, bounds | {"to_tag": last.fair_tag, "to_id": last.id})
    return [(row.fair_tag, row.id) for row in rows]


def _bind_position(name: str) -> Tuple:
    return tuple_(bindparam(f"{name}_tag", type_=Job.fair_tag.type), bindparam(f"{name}_id", type_=Job.id.type))


_here = tuple_(Job.fair_tag, Job.id)
_POSITIONS_BETWEEN = (
    select(Job.fair_tag, Job.id)
    .where(
        QUEUED, Job.model == bindparam("model"), Job.priority == bindparam("priority"), Job.due_at <= StatementTime()
    )
    .where(_bind_position("from") <= _here, _here < _bind_position("to"))
    .order_by(Job.fair_tag, Job.id)
    .limit(FARTHEST)
)


@cache
def _select_ahead_count(priority: Priority) -> Select[int]:
    due = select(Job.id).where(QUEUED, Job.model == bindparam("model"), Job.due_at <= StatementTime())
    due = due.order_by(Job.fair_tag, Job.id).limit(FARTHEST)
    sooner = (due.where(Job.priority == each) for each in PRIORITIES[: PRIORITIES.index(priority)])
    before = due.where(Job.priority == priority, _here < _bind_position("to"))
    ahead = union_all(*(select(each.subquery()) for each in (*sooner, before))).limit(FARTHEST)
    return select(func.count()).select_from(ahead.subquery())
