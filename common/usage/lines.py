"""Lines of usage: what was used, summed by a group, the outcome of the attempts and the currency of the images.

All statements have the same columns, so that a report can be one statement over several sources: of one moment, even
while the clerk moves attempts from one source to the other.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, String, and_, case, cast, func, literal, literal_column, select

from common.db.types import Money
from common.states.jobs import ImageStatus, Verdict
from common.tables import Attempt, Image
from common.tables.usage import PressUsageSum, UsageSum

Rows = Select[*tuple[Any, ...]]
Narrow = Callable[[Rows], Rows]
"""Says which rows a statement is about, and joins what it needs to say so."""

DELIVERED = (ImageStatus.DELIVERED, ImageStatus.BLURRED, ImageStatus.ERASED)
"""States of images that were published; those erased later may have been."""

WAS_DELIVERED = and_(Image.status.in_(DELIVERED), Image.released_at.is_(None), Image.verdict != Verdict.BLOCK)
"""``common.usage.usage.was_delivered``, for a database."""

NO_CURRENCY = ""
"""The currency of lines about attempts."""


class Line(NamedTuple):
    """What was used by the attempts, or for the images, of one group."""

    name: Any
    outcome: str  # of the attempts; empty for images
    currency: str  # of the images; empty for attempts
    jobs: int
    attempts: int
    gpu_seconds: float
    images: int
    delivered: float
    overrun: float
    amount: Decimal


_IS_FIRST = case((Attempt.number == 1, 1), else_=0)


def select_attempts(name: ColumnElement[Any], narrow: Narrow) -> Rows:
    """Return the lines of attempts and their time."""
    outcome = cast(Attempt.outcome, String)
    spent = (func.sum(_IS_FIRST), func.count(), func.sum(Attempt.gpu_seconds))
    return narrow(_select_line(name, outcome, _text(NO_CURRENCY), spent).select_from(Attempt)).group_by(name, outcome)


def select_images(name: ColumnElement[Any], narrow: Narrow) -> Rows:
    """Return the lines of the images that attempts delivered."""
    made = (
        func.count(),
        func.sum(Image.gpu_seconds),
        func.sum(Image.overrun_seconds),
        func.sum(Image.amount),
    )
    line = _select_line(name, _text(""), Image.currency.expression, made=made).select_from(Attempt)
    return (
        narrow(line.join(Image, and_(Image.job_id == Attempt.job_id, Image.attempt == Attempt.number)))
        .where(WAS_DELIVERED)
        .group_by(name, Image.currency)
    )


def select_corrections(name: ColumnElement[Any], narrow: Narrow) -> Rows:
    """Return the lines that take back how attempts were booked that have changed since."""
    outcome = Attempt.booked_outcome.expression
    spent = (-func.sum(_IS_FIRST), -func.count(), -func.sum(Attempt.booked_seconds))
    line = _select_line(name, outcome, _text(NO_CURRENCY), spent).select_from(Attempt)
    return narrow(line).where(Attempt.booked_outcome.is_not(None)).group_by(name, outcome)


def select_sums(table: type[UsageSum | PressUsageSum], name: ColumnElement[Any], narrow: Narrow) -> Rows:
    """Return the lines of booked attempts and their images."""
    columns = (
        *(table.jobs, table.attempts, table.gpu_seconds),
        *(table.images, table.delivered_seconds, table.overrun_seconds, table.amount),
    )
    line = select(name, table.outcome, table.currency, *(func.sum(column) for column in columns))
    return narrow(line.select_from(table)).group_by(name, table.outcome, table.currency)


def _select_line(
    name: ColumnElement[Any],
    outcome: ColumnElement[Any],
    currency: ColumnElement[Any],
    spent: tuple[ColumnElement[Any], ...] = (literal_column("0"), literal_column("0"), literal_column("0.0")),
    made: tuple[ColumnElement[Any], ...] = (
        literal_column("0"),
        literal_column("0.0"),
        literal_column("0.0"),
        literal_column("0", Money),
    ),
) -> Rows:
    return select(name, outcome, currency, *spent, *made)


def _text(value: str) -> ColumnElement[str]:
    return cast(literal(value), String)
