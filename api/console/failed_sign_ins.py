"""Limits failed sign-ins by the client's address; a valid key is never refused.

Keys cannot be guessed, but each attempt costs a database query and a rendered page.
"""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from api.web.client_address import shorten_address

MOST_FAILURES = RateLimitItemPerMinute(20)
"""Failed sign-ins of one address before further ones are refused."""


class FailedSignIns:
    """Counts the failed sign-ins of each address."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, address: str) -> int:
        """Count a failure and return for how many seconds *address* must wait; 0 if it may try again at once."""
        client = shorten_address(address)
        if self._limiter.hit(MOST_FAILURES, client):
            return 0
        oldest_ends = self._limiter.get_window_stats(MOST_FAILURES, client).reset_time
        return max(1, math.ceil(oldest_ends - time.time()))
