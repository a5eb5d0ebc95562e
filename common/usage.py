"""What was spent and on what: images that were delivered, waste by its reason, and the time of the presses.

An attempt's accelerator seconds are those of the images it delivered plus waste. Waste is named after the attempt's
outcome; within an attempt that succeeded it is the share of the images that the checker blocked.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, func, literal, select
from sqlalchemy.orm import Session

from common.models import ApiKey, Attempt, Image, Job, Press
from common.states import ImageStatus, Outcome

DELIVERED = (ImageStatus.DELIVERED, ImageStatus.BLURRED, ImageStatus.ERASED)
"""Images that were published, and so are charged; those erased later were too."""

ROUNDING = 1e-6
"""Seconds that the sums of floats may be off."""


class GroupBy(StrEnum):
    """By what usage may be told apart."""

    DAY = "day"  # UTC, of the attempt's start
    MODEL = "model"
    KEY = "key"  # the id of the API key, as it stands in the key itself
    STATUS = "status"  # of the job
    PRIORITY = "priority"


@dataclass
class Usage:
    """What one group of jobs used; times are accelerator seconds."""

    jobs: int = 0
    attempts: int = 0
    images: int = 0
    delivered: float = 0.0
    running: float = 0.0  # of attempts that have not ended: neither delivered nor waste yet
    waste: dict[str, float] = field(default_factory=dict)
    amounts: dict[str, Decimal] = field(default_factory=dict)  # currency → what was charged

    @property
    def gpu_seconds(self) -> float:
        """Return all that was spent."""
        return self.delivered + self.running + sum(self.waste.values())


@dataclass(frozen=True)
class House:
    """How the time of all presses was spent; ``busy`` is by their own clocks, and equals the rest."""

    busy: float
    delivered: float
    running: float
    waste: dict[str, float]
    overhead: dict[str, float]


def tally(session: Session, owner: str, since: datetime, until: datetime) -> Usage:
    """Return what *owner* used in attempts that began from *since* to before *until*."""
    return _tally(session, _of(owner, since, until), literal("")).get("", Usage())


def tally_by(session: Session, owner: str, since: datetime, until: datetime, group_by: GroupBy) -> dict[str, Usage]:
    """Return the same, told apart; groups in the order of their names, the empty name for jobs made without a key."""
    groups = _tally(session, _of(owner, since, until), _column(session, group_by))
    return dict(sorted(groups.items()))


def tally_house(session: Session) -> House:
    """Return how the time of all presses was spent, since they were first started."""
    usage = _tally(session, [], literal("")).get("", Usage())
    busy = 0.0
    overhead: dict[str, float] = defaultdict(float)
    for press in session.scalars(select(Press)):
        busy += press.busy_seconds
        for name, seconds in press.overhead.items():
            overhead[name] += seconds
    return House(busy, usage.delivered, usage.running, usage.waste, dict(overhead))


def _of(owner: str, since: datetime, until: datetime) -> list[ColumnElement[bool]]:
    return [Job.owner == owner, Attempt.started_at >= since, Attempt.started_at < until]


def _tally(session: Session, where: Sequence[ColumnElement[bool]], group: ColumnElement[str]) -> dict[str, Usage]:
    groups: dict[str, Usage] = defaultdict(Usage)
    _add_attempts(session, groups, where, group)
    _add_images(session, groups, where, group)
    return groups


def _add_attempts(
    session: Session, groups: dict[str, Usage], where: Sequence[ColumnElement[bool]], group: ColumnElement[str]
) -> None:
    name = group.label("name")
    counted = (
        select(name, func.count(Attempt.job_id.distinct()).label("jobs"))
        .select_from(Attempt)
        .join(Job, Job.id == Attempt.job_id)
        .outerjoin(ApiKey, ApiKey.id == Job.key_id)
        .where(*where)
        .group_by(name)
    )
    for label, jobs in session.execute(counted):
        groups[label].jobs = jobs
    spent = (
        select(name, Attempt.outcome, func.count().label("attempts"), func.sum(Attempt.gpu_seconds).label("seconds"))
        .join(Job, Job.id == Attempt.job_id)
        .outerjoin(ApiKey, ApiKey.id == Job.key_id)
        .where(*where)
        .group_by(name, Attempt.outcome)
    )
    for row in session.execute(spent):
        usage = groups[row.name]
        usage.attempts += row.attempts
        if row.outcome is Outcome.RUNNING:
            usage.running = row.seconds
        else:
            reason = Outcome.BLOCKED if row.outcome is Outcome.SUCCEEDED else row.outcome
            usage.waste[reason] = usage.waste.get(reason, 0.0) + row.seconds


def _add_images(
    session: Session, groups: dict[str, Usage], where: Sequence[ColumnElement[bool]], group: ColumnElement[str]
) -> None:
    name = group.label("name")
    delivered = (
        select(
            name,
            Image.currency,
            func.count().label("images"),
            func.sum(Image.gpu_seconds).label("seconds"),
            func.sum(Image.amount).label("amount"),
        )
        .select_from(Image)
        .join(Job, Job.id == Image.job_id)
        .join(Attempt, and_(Attempt.job_id == Image.job_id, Attempt.number == Image.attempt))
        .outerjoin(ApiKey, ApiKey.id == Job.key_id)
        .where(Image.status.in_(DELIVERED), *where)
        .group_by(name, Image.currency)
    )
    for row in session.execute(delivered):
        usage = groups[row.name]
        usage.images += row.images
        usage.delivered += row.seconds
        usage.amounts[row.currency] = usage.amounts.get(row.currency, Decimal(0)) + row.amount
        # What the attempts that succeeded spent was entered under "blocked" whole; the delivered share comes off.
        left = usage.waste.get(Outcome.BLOCKED, 0.0) - row.seconds
        usage.waste[Outcome.BLOCKED] = left
    for usage in groups.values():
        usage.waste = {str(reason): seconds for reason, seconds in usage.waste.items() if seconds > ROUNDING}


def _column(session: Session, group_by: GroupBy) -> ColumnElement[Any]:
    match group_by:
        case GroupBy.DAY if session.get_bind().dialect.name == "sqlite":
            return func.date(Attempt.started_at, type_=String)
        case GroupBy.DAY:
            return func.to_char(func.timezone("UTC", Attempt.started_at), "YYYY-MM-DD", type_=String)
        case GroupBy.MODEL:
            return Job.model.expression
        case GroupBy.KEY:
            return func.coalesce(ApiKey.prefix, "")
        case GroupBy.STATUS:
            return cast(Job.status, String)
        case GroupBy.PRIORITY:
            return cast(Job.priority, String)
