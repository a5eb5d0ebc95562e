"""When messages are tried again, and what receivers may ask for."""

from datetime import UTC, datetime, timedelta

import pytest

from common.webhooks import retry_schedule

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def test_a_message_is_tried_ten_times_in_a_little_over_three_days() -> None:
    waits = []
    while (wait := retry_schedule.compute_retry_wait(len(waits) + 1)) is not None:
        waits.append(wait)
    assert len(waits) == 9
    assert timedelta(hours=75, minutes=35, seconds=5) <= sum(waits, timedelta()) <= timedelta(hours=84)


def test_a_wait_is_at_most_a_tenth_longer_than_the_schedule_says() -> None:
    for tries, seconds in enumerate(retry_schedule.WAITS, 1):
        drawn = {retry_schedule.compute_retry_wait(tries) for _ in range(50)}
        assert len(drawn) > 1, "what failed together must not come back together"
        assert all(wait and seconds <= wait.total_seconds() <= 1.1 * seconds for wait in drawn)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 1),
        ("1", 1),
        ("120", 120),
        (" 120 ", 120),
        ("86400", 86_400),
        ("86401", 86_400),
        ("1000000000", 86_400),
        ("9" * 5000, 86_400),
        ("-1", 1),
        ("-99999999999999999999999", 1),
        ("Fri, 01 May 2026 12:01:00 GMT", 60),
        ("Fri, 01 May 2026 11:00:00 GMT", 1),
        ("Fri, 01 May 2099 11:00:00 GMT", 86_400),
    ],
)
def test_retry_after_is_honoured_between_a_second_and_a_day(header: str, seconds: float) -> None:
    assert retry_schedule.parse_retry_after(header, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "header",
    [None, "", "NaN", "inf", "-inf", "1e9", "1.5", "٣", "soon", "--5", "-", "0x10", "Fri, 99 May 2026", "1, 2"],
)
def test_an_unreadable_retry_after_is_ignored(header: str | None) -> None:
    assert retry_schedule.parse_retry_after(header, NOW) is None


def test_repeated_failures_pause_the_endpoint_longer_and_longer() -> None:
    pauses = [retry_schedule.compute_pause(failures) for failures in range(1, 20)]
    assert pauses[0] == timedelta()
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("failures", "hours", "is_broken"), [(10, 24, True), (9, 48, False), (10, 23.9, False), (1000, 1, False)]
)
def test_an_endpoint_is_disabled_after_ten_failures_and_a_day(failures: int, hours: float, is_broken: bool) -> None:
    assert retry_schedule.is_broken(failures, timedelta(hours=hours)) is is_broken
