"""Engine capacity: the share of a batch that the current jobs take."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

POLL_SECONDS = 0.5
"""How often a waiting thread checks for a shutdown or an urgent job, in seconds."""

FULL = 1 - 1e-9
"""Tolerance, since shares such as 1/3 do not add up to exactly 1."""

OVERFULL = FULL + 1 / 4
"""Limit up to which interactive jobs are admitted: they run first, and bulk jobs pause for them."""


class Capacity:
    """Track the capacity in use; there is room while it is below one full batch."""

    def __init__(self) -> None:
        self._taken = 0.0
        self._changed = threading.Condition()

    def wait(self) -> bool:
        """Wait briefly for room; return whether there is any."""
        with self._changed:
            if self._taken >= FULL:
                self._changed.wait(POLL_SECONDS)
            return self._taken < FULL

    @property
    def has_some_for_the_urgent(self) -> bool:
        """Return whether an interactive job can still be admitted."""
        return self._taken < OVERFULL

    @contextmanager
    def taken(self, share: float) -> Iterator[None]:
        """Reserve *share* of the capacity for the duration of the block."""
        self._add(share)
        try:
            yield
        finally:
            self._add(-share)

    def _add(self, share: float) -> None:
        with self._changed:
            self._taken += share
            self._changed.notify_all()
