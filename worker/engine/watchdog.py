"""Watchdog that ends the process when the accelerator hangs, even while the GIL is held."""

import faulthandler
import math
import time

STDERR = 2
"""The file descriptor itself: ``sys.stderr`` may be an object without one."""


TRACEBACK_SECONDS = 5.0


class Watchdog:
    """Write every thread's traceback and end the process with status 1 unless fed in time; one per process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._fed_at = -math.inf

    def feed(self) -> None:
        """Restart the timer, unless it was restarted within the last hundredth of the timeout."""
        # Each restart starts a thread, which would cost 1 % of the fastest steps.
        now = time.monotonic()
        if now - self._fed_at < self._seconds / 100:
            return
        self._fed_at = now
        faulthandler.dump_traceback_later(self._seconds, exit=True, file=STDERR)

    @property
    def is_about_to_bite(self) -> bool:
        """Return whether the process will end within seconds, so that final state can be written."""
        return 0 < self._fed_at < time.monotonic() - self._seconds + min(TRACEBACK_SECONDS, self._seconds / 4)

    def rest(self) -> None:
        """Stop the timer until the next feed."""
        self._fed_at = -math.inf
        faulthandler.cancel_dump_traceback_later()

    def __enter__(self) -> None:
        self.feed()

    def __exit__(self, *exception: object) -> None:
        self.rest()
