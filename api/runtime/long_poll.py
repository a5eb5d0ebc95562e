"""Waiting room: limits how many clients hold a thread until their job has ended, in total and for each owner.

Clients wait with ``Prefer: wait=N`` or by following the job's events.
"""

import re
import time
from collections.abc import Callable
from uuid import UUID

from sqlalchemy import select

from api.web.owner_places import OwnerPlaces, Release
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

    def __init__(self, seats: OwnerPlaces) -> None:
        self._seats = seats
        self._is_closing: Callable[[], bool] = lambda: False

    def close_when(self, is_closing: Callable[[], bool]) -> None:
        """Release all waiting clients once *is_closing* returns true, when the server stops."""
        self._is_closing = is_closing

    def is_closing(self) -> bool:
        """Return whether all clients must leave."""
        return self._is_closing()

    def enter(self, owner: str) -> Release | None:
        """Take a seat and return what gives it back; None if *owner* gets no seat."""
        return self._seats.try_take(owner)

    def wait(self, owner: str, is_over: Callable[[], bool], seconds: float) -> bool:
        """Poll *is_over* until it returns true or *seconds* have passed; return whether *owner* got a seat."""
        leave = self.enter(owner)
        if leave is None:
            return False
        try:
            end = time.monotonic() + seconds
            pause = FIRST_PAUSE
            while not is_over() and not self.is_closing() and (left := end - time.monotonic()) > 0:
                time.sleep(min(pause, left))
                pause = min(pause * 1.5, LONGEST_PAUSE)
        finally:
            leave()
        return True


def wait_for_job(slots: LongPollSlots, database: Database, owner: str, job_id: UUID, seconds: float) -> bool:
    """Wait until a job of *owner* has ended or *seconds* have passed; return whether the owner got a seat."""

    def is_over() -> bool:
        with database.reading() as session:
            status = session.scalar(select(Job.status).where(Job.id == job_id))
        return status is None or status.is_terminal

    return slots.wait(owner, is_over, seconds)
