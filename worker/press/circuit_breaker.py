"""Takes a press out of service that fails job after job, so that a broken press does not fail the jobs of all.

An error that is not known to be the job's fault counts against the press that tried it first. Later attempts at the
same job do not count: a job that fails everywhere is the cause itself, and takes no second press out of service.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import PressroomError
from common.logs import get_logger

MOST_FAULTS = 3
"""Jobs in a row that fail on this press first, without one that succeeds, until it is out of service."""

REST_SECONDS = 60.0
"""How long a press is out of service before it tries a single job again."""

log = get_logger(__name__)


class CircuitBreaker:
    """Closed while the press works, open while it rests, half-open while it tries a single job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults = 0
        self._fault: str | None = None
        self._rests_until = 0.0
        self._in_hand = 0

    @property
    def fault(self) -> str | None:
        """Return the code of the error that took the press out of service; None while it is in service."""
        return self._fault

    @property
    def may_claim(self) -> bool:
        """Return whether a job may be claimed: any while closed, one at a time after a rest."""
        with self._lock:
            return self._fault is None or (time.monotonic() >= self._rests_until and not self._in_hand)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Count a job as in hand for the duration of the block."""
        with self._lock:
            self._in_hand += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_hand -= 1

    def record_success(self) -> None:
        """Note that the press has finished a job; close the breaker."""
        with self._lock:
            was_open, self._fault, self._faults = self._fault is not None, None, 0
        if was_open:
            log.info("press_back_in_service")

    def record_fault(self, error: PressroomError, *, is_first_attempt: bool) -> None:
        """Note that an attempt ended by *error*; open the breaker after the last fault that is tolerated."""
        if not error.blames_press:
            return
        with self._lock:
            is_open = self._fault is not None
            self._faults += is_first_attempt
            if not is_open and self._faults < MOST_FAULTS:
                return
            self._fault = error.code
            self._rests_until = time.monotonic() + REST_SECONDS
        log.error("press_out_of_service", code=error.code, reason=error.message, retry_seconds=REST_SECONDS)
