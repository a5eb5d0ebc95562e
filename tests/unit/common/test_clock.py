"""The time."""

from datetime import UTC, datetime, timedelta

from common.clock import utcnow


def test_the_time_is_aware_and_in_utc() -> None:
    assert utcnow().tzinfo is UTC
    assert abs(utcnow() - datetime.now(UTC)) < timedelta(seconds=1)
