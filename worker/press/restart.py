"""A press that cannot go on ends itself, with an exit status that has its supervisor start another."""

import os
import signal
import threading


class Restart:
    """Whether this process has asked itself to restart."""

    def __init__(self) -> None:
        self._requested = threading.Event()

    @property
    def is_requested(self) -> bool:
        """Return whether the process ends because it must be started again, and not because it was asked to stop."""
        return self._requested.is_set()

    def request(self) -> None:
        """Have this process shut down gracefully, as if it were asked to stop."""
        self._requested.set()
        os.kill(os.getpid(), signal.SIGTERM)
