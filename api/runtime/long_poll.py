"""Waiting room: limits how many clients hold a connection, and thus a thread, until their job has ended.

Clients wait with ``Prefer: wait=N`` or by following the job's events.
"""

import re
import time
from collections.abc import Callable
from threading import BoundedSemaphore
from uuid import UUID

from sqlalchemy import select

from common.db.engine import Database
from common.tables import Job

LONGEST_WAIT = 60
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5
WAIT_PATTERN = re.compile(r'wait\s*=\s*"?([0-9]{1,4})"?', re.IGNORECASE)


def parse_preference(header: str) -> int:
    """Return the seconds to wait, at most 60, from a ``Prefer`` header (RFC 7240); 0 if it has no wait preference."""
    for preference in header.split(","):
        match = WAIT_PATTERN.fullmatch(preference.partition(";")[0].strip())
        if match:
            return min(int(match.group(1)), LONGEST_WAIT)
    return 0


class LongPollSlots:
    """Has *seats* for waiting connections; without a free seat, a client does not wait."""

    def __init__(self, seats: int) -> None:
        self._seats = BoundedSemaphore(seats) if seats else None
        self._is_closing: Callable[[], bool] = lambda: False

    def close_when(self, is_closing: Callable[[], bool]) -> None:
        """Release all waiting clients once *is_closing* returns true, when the server stops."""
        self._is_closing = is_closing

    def is_closing(self) -> bool:
        """Return whether all clients must leave."""
        return self._is_closing()

    def enter(self) -> bool:
        """Take a seat and return whether one was free. A taken seat must be given back with ``leave``."""
        return self._seats is not None and self._seats.acquire(blocking=False)

    def leave(self) -> None:
        """Give a seat back."""
        if self._seats is not None:
            self._seats.release()

    def wait(self, is_over: Callable[[], bool], seconds: float) -> bool:
        """Poll *is_over* until it returns true or *seconds* have passed; return whether a seat was free."""
        if not self.enter():
            return False
        try:
            end = time.monotonic() + seconds
            pause = FIRST_PAUSE
            while not is_over() and not self.is_closing() and (left := end - time.monotonic()) > 0:
                time.sleep(min(pause, left))
                pause = min(pause * 1.5, LONGEST_PAUSE)
        finally:
            self.leave()
        return True


def wait_for_job(slots: LongPollSlots, database: Database, job_id: UUID, seconds: float) -> bool:
    """Wait until a job has ended or *seconds* have passed; return whether a seat was free."""

    def is_over() -> bool:
        with database.reading() as session:
            status = session.scalar(select(Job.status).where(Job.id == job_id))
        return status is None or status.is_terminal

    return slots.wait(is_over, seconds)
