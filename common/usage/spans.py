"""Divides a span of time into whole days, whole hours and the rest, all in UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class Unit(StrEnum):
    """The lengths of time for which usage is summed."""

    HOUR = "hour"
    DAY = "day"


HOURS_KEPT = timedelta(days=90)
"""How long figures of single hours are kept; older ones are those of whole days."""

LAST_DAY = datetime.max.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
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


def divide_span(span: Span, hours_since: datetime) -> Division:
    """Return the parts of *span*: whole days, whole hours around them, and what remains at each end.

    Before *hours_since*, the start of a day, no hours are used, so that up to a day remains at each end.
    """
    since = _round_up(span.since, Unit.DAY if span.since < hours_since else Unit.HOUR)
    until = truncate_time(span.until, Unit.DAY if span.until < hours_since else Unit.HOUR)
    if since is None or since >= until:
        return Division((), None, () if span.is_empty else (span,))
    whole = Span(since, until)
    rest = (Span(span.since, since), Span(until, span.until))
    return Division(tuple(_list_units(whole)), whole, tuple(part for part in rest if not part.is_empty))


def truncate_time(moment: datetime, unit: Unit) -> datetime:
    """Return the start of the unit in which *moment*, a time in UTC, lies."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour if unit is Unit.HOUR else hour.replace(hour=0)


def _list_units(whole: Span) -> Iterator[tuple[Unit, Span]]:
    """Yield the days of a span that begins and ends with an hour, and the hours before and after them."""
    since, until = _round_up(whole.since, Unit.DAY), truncate_time(whole.until, Unit.DAY)
    if since is None or since >= until:
        yield Unit.HOUR, whole
        return
    yield Unit.DAY, Span(since, until)
    for part in (Span(whole.since, since), Span(until, whole.until)):
        if not part.is_empty:
            yield Unit.HOUR, part


def _round_up(moment: datetime, unit: Unit) -> datetime | None:
    """Return the first start of a unit that is not before *moment*; None if that is after the last year."""
    start = truncate_time(moment, unit)
    if start == moment:
        return start
    return start + LENGTHS[unit] if start < LAST_DAY else None
