"""How full the engine is: the shares of a batch that the jobs in hand take."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOOK_SECONDS = 0.5
"""How often a waiting thread looks whether its press is leaving, or something urgent is due."""

FULL = 1 - 1e-9
"""Shares such as 1/3 do not add up to 1 exactly."""

OVERFULL = FULL + 1 / 4
"""Up to here interactive jobs are let in: they go first in the batch, and bulk jobs pause for them."""


class Room:
    """Counts what is taken; there is room while it is less than one full batch."""

    def __init__(self) -> None:
        self._taken = 0.0
        self._changed = threading.Condition()

    def wait(self) -> bool:
        """Wait for room, but not for long; tell whether there is some."""
        with self._changed:
            if self._taken >= FULL:
                self._changed.wait(LOOK_SECONDS)
            return self._taken < FULL

    @property
    def has_some_for_the_urgent(self) -> bool:
        """Tell whether an interactive job may still be let in."""
        return self._taken < OVERFULL

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
