"""Divides a span of time into whole days, whole hours and the rest, all in UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Unit(StrEnum):
    """The lengths of time for which usage is summed."""

    HOUR = "hour"
    DAY = "day"


LENGTHS = {Unit.HOUR: timedelta(hours=1), Unit.DAY: timedelta(days=1)}


@dataclass(frozen=True)
class Span:
    """The time from *since* to before *until*."""

    since: datetime
    until: datetime

    @property
    def is_empty(self) -> bool:
        """Return whether it contains no moment."""
        return self.since >= self.until


@dataclass(frozen=True)
class Division:
    """The parts of a span, none of which overlap: its whole units, and what remains before and after them."""

    units: tuple[tuple[Unit, Span], ...]
    whole: Span | None
    """All of its whole units together; None if there is none."""
    rest: tuple[Span, ...]


def divide_span(span: Span) -> Division:
    """Return the parts of *span*: whole days, whole hours around them, and less than an hour at each end."""
    whole = _find_whole(span, Unit.HOUR)
    if whole is None:
        return Division((), None, () if span.is_empty else (span,))
    rest = (Span(span.since, whole.since), Span(whole.until, span.until))
    return Division(tuple(_divide_hours(whole)), whole, tuple(part for part in rest if not part.is_empty))


def truncate_time(moment: datetime, unit: Unit) -> datetime:
    """Return the start of the unit in which *moment*, a time in UTC, lies."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour if unit is Unit.HOUR else hour.replace(hour=0)


def _divide_hours(hours: Span) -> Iterator[tuple[Unit, Span]]:
    days = _find_whole(hours, Unit.DAY)
    if days is None:
        yield Unit.HOUR, hours
        return
    yield Unit.DAY, days
    for part in (Span(hours.since, days.since), Span(days.until, hours.until)):
        if not part.is_empty:
            yield Unit.HOUR, part


def _find_whole(span: Span, unit: Unit) -> Span | None:
    """Return the whole units in a span; None if there is none."""
    since, until = truncate_time(span.since, unit), truncate_time(span.until, unit)
    if since >= until:
        return None
    if since < span.since:
        since += LENGTHS[unit]
    return Span(since, until) if since < until else None
