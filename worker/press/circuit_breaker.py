"""Takes a press out of service that fails job after job, so that a broken press does not fail the jobs of all.

An error that is not known to be the job's fault makes the press that tried the job first suspect. Whether the press is
the cause is judged by what became of the jobs elsewhere (``common.jobs.press_faults``): jobs that fail everywhere are
the cause themselves, and take no press out of service as long as another can try them.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from uuid import UUID

from common.errors import PressroomError
from common.logs import get_logger

MOST_FAULTS = 3
"""Jobs in a row that fail on this press first and count against it, without one that succeeds, until it is out."""

MOST_REMEMBERED = 1000
"""Of so many jobs that failed here in a row the outcome elsewhere is looked up; others print them within seconds."""

REST_SECONDS = 60.0
"""How long a press is out of service before it tries a single job again."""

log = get_logger(__name__)


class CircuitBreaker:
    """Closed while the press works, open while it rests, half-open while it tries a single job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed: deque[UUID] = deque(maxlen=MOST_REMEMBERED)
        self._error = PressroomError()
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
            was_open, self._fault = self._fault is not None, None
            self._failed.clear()
        if was_open:
            log.info("press_back_in_service")

    def record_fault(self, error: PressroomError, job_id: UUID, *, is_first_attempt: bool) -> None:
        """Note that an attempt ended by *error*; a press that is out of service rests once more."""
        if not error.blames_press:
            return
        with self._lock:
            self._error = error
            if is_first_attempt and job_id not in self._failed:
                self._failed.append(job_id)
            if self._fault is not None:
                self._open()

    def judge(self, count_faults: Callable[[Collection[UUID]], int]) -> None:
        """Open the breaker if enough of the jobs that failed here in a row count against the press.

        *count_faults* returns how many of some jobs do; it is called while there are enough of them.
        """
        with self._lock:
            suspects = [] if self._fault is not None else list(self._failed)
        if len(suspects) < MOST_FAULTS or count_faults(suspects) < MOST_FAULTS:
            return
        with self._lock:
            if self._failed and self._fault is None:  # no job has succeeded meanwhile
                self._open()

    def _open(self) -> None:
        self._fault = self._error.code
        self._rests_until = time.monotonic() + REST_SECONDS
        log.error("press_out_of_service", code=self._fault, reason=self._error.message, retry_seconds=REST_SECONDS)
