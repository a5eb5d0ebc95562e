"""How full the engine is: the shares of a batch that the jobs in hand take."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

WAIT_SECONDS = 0.5
"""How often a waiting thread looks whether its press is leaving."""

FULL = 1 - 1e-9
"""Shares such as 1/3 do not add up to 1 exactly."""


class Room:
    """Counts what is taken; there is room while it is less than one full batch."""

    def __init__(self) -> None:
        self._taken = 0.0
        self._changed = threading.Condition()

    def wait(self, leaving: threading.Event) -> bool:
        """Wait until there is room; return False if the press is *leaving* instead."""
        with self._changed:
            while self._taken >= FULL and not leaving.is_set():
                self._changed.wait(WAIT_SECONDS)
        return not leaving.is_set()

    @contextmanager
    def taken(self, share: float) -> Iterator[None]:
        """Take *share* of it for the block."""
        self._add(share)
        try:
            yield
        finally:
            self._add(-share)

    def _add(self, share: float) -> None:
        with self._changed:
            self._taken += share
            self._changed.notify_all()
