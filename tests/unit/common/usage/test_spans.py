"""A span is divided into whole days, whole hours and the rest, without a gap or an overlap."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from common.usage.spans import LENGTHS, Span, Unit, divide_span, truncate_time

LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
DAY_ONE = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 8 * 86_400_000).map(lambda milliseconds: DAY_ONE + timedelta(milliseconds=milliseconds))


@given(MOMENTS | st.just(DAY_ONE + timedelta(days=2)), MOMENTS, MOMENTS.map(lambda at: truncate_time(at, Unit.DAY)))
def test_the_parts_make_up_the_span(since: datetime, until: datetime, hours_since: datetime) -> None:
    parts = divide_span(Span(since, until), hours_since)
    ordered = sorted([*parts.rest, *(span for _, span in parts.units)], key=lambda span: span.since)
    assert sum((span.until - span.since for span in ordered), timedelta(0)) == max(until - since, timedelta(0))
    for one, following in pairwise(ordered):
        assert one.until == following.since
    for unit, span in parts.units:
        assert truncate_time(span.since, unit) == span.since
        assert truncate_time(span.until, unit) == span.until
        assert unit is Unit.DAY or span.since >= hours_since
    limit = LENGTHS[Unit.HOUR if since >= hours_since else Unit.DAY]
    assert all(span.until - span.since < 2 * limit for span in parts.rest)


def test_a_month_is_read_as_days_with_hours_around_them() -> None:
    since, until = datetime(2026, 1, 1, 22, 30, tzinfo=UTC), datetime(2026, 1, 31, 1, 15, tzinfo=UTC)
    parts = divide_span(Span(since, until), LONG_AGO)
    assert [(unit, span.since.day, span.since.hour) for unit, span in parts.units] == [
        (Unit.DAY, 2, 0),
        (Unit.HOUR, 1, 23),
        (Unit.HOUR, 31, 0),
    ]
    assert [span.until - span.since for span in parts.rest] == [timedelta(minutes=30), timedelta(minutes=15)]


@pytest.mark.parametrize("before_the_end", [timedelta(minutes=5), timedelta(days=3_652_000)])
def test_the_first_and_the_last_moment_can_be_divided(before_the_end: timedelta) -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert divide_span(Span(last - before_the_end, last), LONG_AGO).rest
