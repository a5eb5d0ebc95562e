"""The waiting room: a few clients at a time may keep a connection, and with it a thread, until their job has ended.

They do so by ``Prefer: wait=N``, or by following the job's events.
"""

import re
import time
from collections.abc import Callable
from threading import BoundedSemaphore

LONGEST_WAIT = 60
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5
WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,4})"?', re.IGNORECASE)


def parse_preference(header: str) -> int:
    """Return the seconds that a ``Prefer`` header asks to wait, 60 at most; 0 if it asks for no wait (RFC 7240)."""
    for preference in header.split(","):
        match = WAIT.fullmatch(preference.partition(";")[0].strip())
        if match:
            return min(int(match.group(1)), LONGEST_WAIT)
    return 0


class WaitingRoom:
    """Has *seats* for connections that wait; who finds none is not kept waiting."""

    def __init__(self, seats: int) -> None:
        self._seats = BoundedSemaphore(seats) if seats else None
        self._is_closing: Callable[[], bool] = lambda: False

    def close_when(self, is_closing: Callable[[], bool]) -> None:
        """Have nobody wait any longer once *is_closing* says so: the server stops."""
        self._is_closing = is_closing

    def is_closing(self) -> bool:
        """Tell whether everybody must leave."""
        return self._is_closing()

    def enter(self) -> bool:
        """Take a seat; return whether there was one. Who has taken one must ``leave``."""
        return self._seats is not None and self._seats.acquire(blocking=False)

    def leave(self) -> None:
        """Give a seat back."""
        if self._seats is not None:
            self._seats.release()

    def wait(self, is_over: Callable[[], bool], seconds: float) -> bool:
        """Ask *is_over* again and again until it says so or *seconds* have passed; tell whether there was a seat."""
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
