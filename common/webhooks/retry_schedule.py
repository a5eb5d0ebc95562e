"""The retry schedule of messages, and the pauses of failing endpoints."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from random import uniform

MINUTE, HOUR = 60.0, 3600.0

WAITS = (5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
"""Seconds between one try and the next, the example of Standard Webhooks: ten tries in a little over three days."""

MOST_TRIES = 1 + len(WAITS)
JITTER = 0.1
"""A wait is up to so much longer, as a share of itself, so that what failed together does not come back together."""

SHORTEST_ADVICE, LONGEST_ADVICE = timedelta(seconds=1), timedelta(days=1)
LONGEST_NUMBER = 18

PAUSES = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
"""Seconds for which an endpoint is left alone after its second failure in a row, its third, and so on."""

SHORTEST_PAUSE = timedelta(seconds=PAUSES[0])

BREAKER_FAILURES = 10
BREAKER_AGE = timedelta(days=1)
"""An endpoint that has failed so often in a row, and for so long, is disabled."""


def compute_retry_wait(tries: int) -> timedelta | None:
    """Return how long to wait after so many failed tries; None when the last one has been made."""
    if tries >= MOST_TRIES:
        return None
    wait = WAITS[tries - 1]
    return timedelta(seconds=wait * uniform(1, 1 + JITTER))  # noqa: S311  (jitter, not a secret)


def compute_pause(failures: int) -> timedelta:
    """Return for how long an endpoint is left alone after so many failures in a row; one may be the message's own."""
    return timedelta(seconds=PAUSES[min(failures - 2, len(PAUSES) - 1)]) if failures > 1 else timedelta()


def is_broken(failures: int, failing_for: timedelta) -> bool:
    """Return whether an endpoint has failed so often and so long that it is to be disabled."""
    return failures >= BREAKER_FAILURES and failing_for >= BREAKER_AGE


def parse_retry_after(header: str | None, moment: datetime) -> timedelta | None:
    """Return what a ``Retry-After`` asks for at *moment*, between a second and a day; None if it says nothing."""
    if header is None:
        return None
    text = header.strip()
    if (digits := text.removeprefix("-")).isascii() and digits.isdecimal():
        asked = float(text[:LONGEST_NUMBER])
    else:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, OverflowError, IndexError):
            return None
        asked = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - moment.timestamp()
    bounded = min(max(asked, SHORTEST_ADVICE.total_seconds()), LONGEST_ADVICE.total_seconds())
    return timedelta(seconds=bounded)
