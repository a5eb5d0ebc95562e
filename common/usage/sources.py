"""Where the figures of a report come from: the sums of booked attempts, and attempts that are not in them.

Whole days, and hours of the last three months, are read from the sums, to which the clerk books attempts that have
ended (``booking``). To these come attempts that are not booked yet, and those at each end of the span: of less than an
hour, or less than a day if that was long ago. So the work depends on the length of the span and on what happened
lately, not on how many attempts there have been.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.clock import utcnow
from common.tables import Attempt
from common.tables.usage import PressUsageSum, UsageSum
from common.usage import lines
from common.usage.lines import Line, Narrow, Rows
from common.usage.spans import HOURS_KEPT, Span, Unit, divide_span, truncate_time


@dataclass(frozen=True)
class Source:
    """What a report is about, in attempts and in a table of sums, and what each is grouped by."""

    attempts: Narrow
    attempts_by: ColumnElement[Any]
    sums: Narrow
    sums_by: ColumnElement[Any]
    table: type[UsageSum | PressUsageSum]


def load_lines(session: Session, source: Source, span: Span) -> list[Line]:
    """Return the lines of the attempts that began in *span*, all of one moment."""
    parts = divide_span(span, compute_hours_horizon())
    statements: list[Rows] = []
    if parts.rest:
        ends = _narrow_further(source.attempts, or_(*(_lies_in(Attempt.started_at, part) for part in parts.rest)))
        statements += select_lines(source.attempts_by, ends)
    if parts.whole is not None:
        is_left = and_(~Attempt.is_booked, _lies_in(Attempt.started_at, parts.whole))
        left = _narrow_further(source.attempts, is_left)
        # Images are booked with their attempt, and never change.
        new = _narrow_further(left, Attempt.booked_outcome.is_(None))
        statements += [
            lines.select_attempts(source.attempts_by, left),
            lines.select_images(source.attempts_by, new),
            lines.select_corrections(source.attempts_by, left),
        ]
        table = source.table
        is_whole = or_(*(and_(table.unit == unit, _lies_in(table.begins_at, part)) for unit, part in parts.units))
        statements.append(lines.select_sums(table, source.sums_by, _narrow_further(source.sums, is_whole)))
    if not statements:
        return []
    return [Line(*row) for row in session.execute(union_all(*statements))]


def compute_hours_horizon() -> datetime:
    """Return the time since which there are sums by hour; before, there are only those by day."""
    return truncate_time(utcnow() - HOURS_KEPT, Unit.DAY)


def select_lines(name: ColumnElement[Any], narrow: Narrow) -> list[Rows]:
    """Return the statements for the lines of attempts and of their images, whether they are booked or not."""
    return [lines.select_attempts(name, narrow), lines.select_images(name, narrow)]


def _narrow_further(narrow: Narrow, condition: ColumnElement[bool]) -> Narrow:
    return lambda statement: narrow(statement).where(condition)


def _lies_in(column: InstrumentedAttribute[Any], part: Span) -> ColumnElement[bool]:
    return and_(column >= part.since, column < part.until)
