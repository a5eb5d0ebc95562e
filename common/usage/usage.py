"""Usage: the time and money spent on jobs, as delivered images and waste by reason.

An attempt's accelerator seconds are those of the images it delivered plus waste. Waste is named after the attempt's
outcome; within an attempt that succeeded it is the share of the images that the checker blocked, and what images took
beyond the most that they may be charged.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, String, and_, cast, func, literal, select
from sqlalchemy.orm import Session

from common.db.clock import day_sql
from common.states.jobs import ImageStatus, Outcome, Verdict
from common.tables import ApiKey, Attempt, Image, Job

K = TypeVar("K")
N = TypeVar("N", int, float, Decimal)

Rows = Select[*tuple[Any, ...]]
Narrow = Callable[[Rows], Rows]
"""Says which attempts a statement is about, and joins what it needs to say so."""

DELIVERED = (ImageStatus.DELIVERED, ImageStatus.BLURRED, ImageStatus.ERASED)
"""States of images that were published; those erased later may have been."""

WAS_DELIVERED = and_(Image.status.in_(DELIVERED), Image.released_at.is_(None), Image.verdict != Verdict.BLOCK)
"""``was_delivered``, for a database."""

OVERRUN = "overrun"
"""Waste: what images took beyond the most that they may be charged."""

ROUNDING = 1e-6
"""Seconds that the sums of floats may be off."""


class GroupBy(StrEnum):
    """What usage can be grouped by."""

    DAY = "day"  # UTC, of the attempt's start
    MODEL = "model"
    KEY = "key"  # the id of the API key, as it stands in the key itself
    STATUS = "status"  # of the job
    PRIORITY = "priority"


@dataclass
class Usage:
    """What one group of attempts used; times are accelerator seconds."""

    jobs: int = 0
    attempts: int = 0
    images: dict[str, int] = field(default_factory=dict)  # currency → how many were delivered
    delivered: float = 0.0
    running: float = 0.0  # of attempts that have not ended: neither delivered nor waste yet
    waste: dict[str, float] = field(default_factory=dict)
    amounts: dict[str, Decimal] = field(default_factory=dict)  # currency → what was charged

    @property
    def gpu_seconds(self) -> float:
        """Return all that was spent."""
        return self.delivered + self.running + sum(self.waste.values())

    def __add__(self, more: "Usage") -> "Usage":
        """Return what both groups used; a job with attempts in both counts in each."""
        return Usage(
            jobs=self.jobs + more.jobs,
            attempts=self.attempts + more.attempts,
            images=_merge_totals(self.images, more.images, 0),
            delivered=self.delivered + more.delivered,
            running=self.running + more.running,
            waste=_merge_totals(self.waste, more.waste, 0.0),
            amounts=_merge_totals(self.amounts, more.amounts, Decimal(0)),
        )


def was_delivered(image: Image) -> bool:
    """Return whether an image was published by its press, and so is charged; those erased later were too.

    What was blocked first is not: it stays waste, whether a reviewer released it or it was erased while it waited.
    """
    return image.status in DELIVERED and image.released_at is None and image.verdict is not Verdict.BLOCK


def load_usage(session: Session, owner: str, since: datetime, until: datetime) -> Usage:
    """Return what *owner* used in attempts that began from *since* to before *until*."""
    return aggregate_usage(session, _narrow_to_owner(owner, since, until), literal("")).get("", Usage())


def load_usage_by_group(
    session: Session, owner: str, since: datetime, until: datetime, group_by: GroupBy
) -> dict[str, Usage]:
    """Return the same by group, in the order of their names; the name is empty for jobs submitted without a key."""
    groups = aggregate_usage(session, _narrow_to_owner(owner, since, until), _choose_group_column(session, group_by))
    return dict(sorted(groups.items()))


def aggregate_usage(session: Session, narrow: Narrow, group: ColumnElement[K]) -> dict[K, Usage]:
    """Return the usage of the attempts that *narrow* selects, by *group*."""
    groups: dict[K, Usage] = defaultdict(Usage)
    _add_attempts(session, groups, narrow, group)
    _add_images(session, groups, narrow, group)
    for usage in groups.values():
        usage.waste = {str(reason): seconds for reason, seconds in usage.waste.items() if seconds > ROUNDING}
    return dict(groups)


def _merge_totals(one: dict[str, N], other: dict[str, N], zero: N) -> dict[str, N]:
    return {name: one.get(name, zero) + other.get(name, zero) for name in sorted({*one, *other})}


def _narrow_to_owner(owner: str, since: datetime, until: datetime) -> Narrow:
    def narrow(statement: Rows) -> Rows:
        return (
            statement.join(Job, Job.id == Attempt.job_id)
            .outerjoin(ApiKey, ApiKey.id == Job.key_id)
            .where(Job.owner == owner, Attempt.started_at >= since, Attempt.started_at < until)
        )

    return narrow


def _add_attempts(session: Session, groups: dict[K, Usage], narrow: Narrow, group: ColumnElement[K]) -> None:
    name = group.label("name")
    jobs = select(name, func.count(Attempt.job_id.distinct()).label("jobs")).select_from(Attempt)
    for row in session.execute(narrow(jobs).group_by(name)):
        groups[row.name].jobs = row.jobs
    spent = select(
        name, Attempt.outcome, func.count().label("attempts"), func.sum(Attempt.gpu_seconds).label("seconds")
    ).select_from(Attempt)
    for row in session.execute(narrow(spent).group_by(name, Attempt.outcome)):
        usage = groups[row.name]
        usage.attempts += row.attempts
        if row.outcome is Outcome.RUNNING:
            usage.running = row.seconds
        else:
            reason = Outcome.BLOCKED if row.outcome is Outcome.SUCCEEDED else row.outcome
            usage.waste[reason] = usage.waste.get(reason, 0.0) + row.seconds


def _add_images(session: Session, groups: dict[K, Usage], narrow: Narrow, group: ColumnElement[K]) -> None:
    name = group.label("name")
    delivered = (
        select(
            name,
            Image.currency,
            func.count().label("images"),
            func.sum(Image.gpu_seconds).label("seconds"),
            func.sum(Image.overrun_seconds).label("overrun"),
            func.sum(Image.amount).label("amount"),
        )
        .select_from(Attempt)
        .join(Image, and_(Image.job_id == Attempt.job_id, Image.attempt == Attempt.number))
        .where(WAS_DELIVERED)
    )
    for row in session.execute(narrow(delivered).group_by(name, Image.currency)):
        usage = groups[row.name]
        usage.images[row.currency] = row.images
        usage.amounts[row.currency] = row.amount
        usage.delivered += row.seconds
        usage.waste[OVERRUN] = usage.waste.get(OVERRUN, 0.0) + row.overrun
        # What the attempts that succeeded spent was entered under "blocked" whole; what was delivered comes off.
        left = usage.waste.get(Outcome.BLOCKED, 0.0) - row.seconds - row.overrun
        usage.waste[Outcome.BLOCKED] = left


def _choose_group_column(session: Session, group_by: GroupBy) -> ColumnElement[Any]:
    match group_by:
        case GroupBy.DAY:
            return day_sql(session, Attempt.started_at)
        case GroupBy.MODEL:
            return Job.model.expression
        case GroupBy.KEY:
            return func.coalesce(ApiKey.prefix, "")
        case GroupBy.STATUS:
            return cast(Job.status, String)
        case GroupBy.PRIORITY:
            return cast(Job.priority, String)
