"""The watchdog: ends the process when the accelerator hangs, even while the interpreter's lock is held."""

import faulthandler
import math
import time

STDERR = 2
"""The file descriptor itself: ``sys.stderr`` may be an object without one."""


LAST_WORDS_SECONDS = 5.0


class Watchdog:
    """Writes every thread's traceback and ends the process with status 1 unless fed in time; one per process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._fed_at = -math.inf

    def feed(self) -> None:
        """Start its time anew; fed again within a hundredth of that time, it keeps the old one."""
        # Each arming starts a thread, which would cost one in a hundred of the fastest steps.
        now = time.monotonic()
        if now - self._fed_at < self._seconds / 100:
            return
        self._fed_at = now
        faulthandler.dump_traceback_later(self._seconds, exit=True, file=STDERR)

    @property
    def is_about_to_bite(self) -> bool:
        """Tell whether it will end the process in a few seconds: who has last words should say them."""
        return 0 < self._fed_at < time.monotonic() - self._seconds + min(LAST_WORDS_SECONDS, self._seconds / 4)

    def rest(self) -> None:
        """Let it sleep until it is fed again."""
        self._fed_at = -math.inf
        faulthandler.cancel_dump_traceback_later()

    def __enter__(self) -> None:
        self.feed()

    def __exit__(self, *exception: object) -> None:
        self.rest()
