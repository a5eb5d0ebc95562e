"""The live overview: presses, running and queued jobs, throughput and failures."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.orm import Session

from common.clock import utcnow
from common.db.ids import compute_first_id
from common.jobs.conditions import QUEUED
from common.jobs.request import UNGUIDED, LaneKey, Mode
from common.states.jobs import JobStatus, Priority
from common.tables import Image, Job, Press
from common.usage import meter_readings

OUTPUT_SPAN = timedelta(hours=1)
"""The time span of utilisation and of charges."""

PACE_SPAN = timedelta(minutes=10)
"""The time span over which images per minute are averaged."""

FAILURES_SINCE = timedelta(days=1)
MOST_FAILURES, MOST_LINES = 8, 40

MOST_COUNTED = 10_000
"""Counting queued jobs stops here, at the youngest of so many, so that it costs the same however long the queue is."""


@dataclass(frozen=True)
class Lane:
    """Jobs that may share a batch, and how many there are."""

    key: LaneKey
    jobs: int
    images: int

    @property
    def words(self) -> list[str]:
        """Return what distinguishes this lane from others, for people to read."""
        words = [
            self.key.model,
            self.key.size.replace("x", " × "),
            "no guidance" if self.key.guidance == UNGUIDED else "",
            "LoRA" if self.key.adapters else "",
            "" if self.key.mode == Mode.TEXT else f"from {self.key.mode}",
        ]
        return [word for word in words if word]


@dataclass(frozen=True)
class RunningLane:
    """A lane that a press is running, and its progress."""

    lane: Lane
    step: int
    steps: int


@dataclass(frozen=True)
class ActivePress:
    """A press that is running."""

    id: UUID
    host: str
    accelerator: str
    models: list[str]
    started_at: datetime
    fault: str | None  # code of the error because of which it takes no jobs now
    utilisation: float | None  # of the last hour, in whole percent
    price_per_hour: Decimal
    currency: str
    printing: list[RunningLane]


@dataclass(frozen=True)
class WaitingLane:
    """The queued jobs of one lane and priority that were counted."""

    lane: Lane
    priority: Priority
    oldest_at: datetime


@dataclass(frozen=True)
class FailedJob:
    """A job that failed, and why."""

    job_id: UUID
    owner: str
    model: str
    code: str
    message: str
    at: datetime | None


@dataclass(frozen=True)
class Overview:
    """The overview of one owner, or of all owners."""

    presses: list[ActivePress]
    queued: int  # at most MOST_COUNTED
    waiting: list[WaitingLane]
    failures: list[FailedJob]
    images_per_minute: float
    images: int  # of the last hour
    charged: dict[str, Decimal]  # likewise, by currency

    @property
    def has_more_queued(self) -> bool:
        """Return whether counting the queued jobs stopped before the last."""
        return self.queued >= MOST_COUNTED

    @property
    def running(self) -> int:
        """Return the number of running jobs."""
        return sum(each.lane.jobs for press in self.presses for each in press.printing)

    @property
    def per_hour(self) -> dict[str, Decimal]:
        """Return the total price per hour of these presses, by currency."""
        prices: dict[str, Decimal] = defaultdict(Decimal)
        for press in self.presses:
            prices[press.currency] += press.price_per_hour
        return dict(prices)


def load_overview(session: Session, silence: timedelta) -> Overview:
    """Return the overview of all owners; a press counts as running unless it was silent for *silence*."""
    queued, waiting = _load_queue(session, true())
    return Overview(
        _load_presses(session, silence),
        queued,
        waiting,
        _load_failed_jobs(session, true()),
        *_load_output(session),
    )


def load_owner_overview(session: Session, owner: str) -> Overview:
    """Return the overview of one owner: jobs, without presses."""
    mine = Job.owner == owner
    queued, waiting = _load_queue(session, mine)
    return Overview(
        [],
        queued,
        waiting,
        _load_failed_jobs(session, mine),
        *_load_output(session, Image.owner == owner),
    )


def list_running_jobs(session: Session, owner: str) -> list[Job]:
    """Return the running jobs of *owner*, the oldest first."""
    query = select(Job).where(Job.owner == owner, Job.status == JobStatus.RUNNING)
    return list(session.scalars(query.order_by(Job.id).limit(MOST_LINES)))


def _load_presses(session: Session, silence: timedelta) -> list[ActivePress]:
    moment = utcnow()
    alive = select(Press).where(Press.stopped_at.is_(None), Press.heartbeat_at > moment - silence)
    rows = list(session.scalars(alive.order_by(Press.started_at)))
    before = meter_readings.load_meter_totals(session, rows, moment - OUTPUT_SPAN)
    printing = _load_running_lanes(session)
    return [
        ActivePress(
            id=row.id,
            host=row.host,
            accelerator=row.accelerator,
            models=row.models,
            started_at=row.started_at,
            fault=row.fault,
            utilisation=_compute_utilisation(row, row.busy_seconds - before[row.id].busy, moment - OUTPUT_SPAN),
            price_per_hour=row.price_per_hour,
            currency=row.currency,
            printing=printing.get(row.id, []),
        )
        for row in rows
    ]


def _compute_utilisation(press: Press, busy: float, since: datetime) -> float | None:
    up = (press.heartbeat_at - max(press.started_at, since)).total_seconds()
    return round(min(1.0, busy / up), 2) if up > 0 else None


def _load_running_lanes(session: Session) -> dict[UUID, list[RunningLane]]:
    found: dict[UUID, list[RunningLane]] = defaultdict(list)
    query = (
        select(
            Job.press_id,
            Job.lane,
            func.count().label("jobs"),
            func.sum(Job.num_images).label("images"),
            func.sum(Job.progress_step).label("step"),
            func.sum(Job.steps).label("steps"),
        )
        .where(Job.status == JobStatus.RUNNING, Job.press_id.is_not(None))
        .group_by(Job.press_id, Job.lane)
        .order_by(Job.lane)
    )
    for row in session.execute(query):
        lane = Lane(LaneKey.parse(row.lane), row.jobs, row.images)
        found[row.press_id].append(RunningLane(lane, row.step, row.steps))
    return dict(found)


def _load_queue(session: Session, of: ColumnElement[bool]) -> tuple[int, list[WaitingLane]]:
    """Return how many jobs are queued, counting the oldest, and the lanes of these, those that wait longest first."""
    columns = (Job.lane, Job.priority, Job.num_images, Job.created_at)
    oldest = select(*columns).where(QUEUED, of).order_by(Job.id).limit(MOST_COUNTED).subquery().c
    query = (
        select(
            oldest.lane,
            oldest.priority,
            func.count().label("jobs"),
            func.sum(oldest.num_images).label("images"),
            func.min(oldest.created_at).label("oldest_at"),
        )
        .group_by(oldest.lane, oldest.priority)
        .order_by(func.min(oldest.created_at))
    )
    lanes = [
        WaitingLane(Lane(LaneKey.parse(row.lane), row.jobs, row.images), row.priority, row.oldest_at)
        for row in session.execute(query)
    ]
    return sum(each.lane.jobs for each in lanes), lanes[:MOST_LINES]


def _load_failed_jobs(session: Session, of: ColumnElement[bool]) -> list[FailedJob]:
    columns = (Job.id, Job.owner, Job.model, Job.error_code, Job.error_message, Job.finished_at)
    query = (
        select(*columns)
        .where(Job.status == JobStatus.FAILED, Job.id >= compute_first_id(utcnow() - FAILURES_SINCE), of)
        .order_by(Job.id.desc())
        .limit(MOST_FAILURES)
    )
    return [
        FailedJob(row.id, row.owner, row.model, row.error_code or "", row.error_message or "", row.finished_at)
        for row in session.execute(query)
    ]


def _load_output(session: Session, of: ColumnElement[bool] | None = None) -> tuple[float, int, dict[str, Decimal]]:
    """Return images per minute, images of the last hour, and what was charged for them."""
    moment = utcnow()
    recent = Image.id >= compute_first_id(moment - PACE_SPAN)
    query = select(
        Image.currency,
        func.count().label("images"),
        func.count().filter(recent).label("recent"),
        func.sum(Image.amount).label("amount"),
    ).where(Image.id >= compute_first_id(moment - OUTPUT_SPAN), true() if of is None else of)
    rows = session.execute(query.group_by(Image.currency)).all()
    pace = sum(row.recent for row in rows) / (PACE_SPAN.total_seconds() / 60)
    return round(pace, 1), sum(row.images for row in rows), {row.currency: row.amount for row in rows}
