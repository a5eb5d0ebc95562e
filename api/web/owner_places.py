"""Limits how many uses of a shared resource run at a time, in total and for each owner.

One owner can never take all places, so that others are served while that owner sends more than its share.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Self

from api.web.errors import RefusedError


class Release:
    """Gives one place back when it is called or its block ends; further calls have no effect, from any thread."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back
        self._lock = Lock()

    def __call__(self) -> None:
        """Give the place back, once."""
        with self._lock:
            give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()

    def __enter__(self) -> None:
        """Hold the place for the length of the block."""

    def __exit__(self, *_: object) -> None:
        """Give the place back."""
        self()


class OwnerPlaces:
    """Has *total* places, of which one owner may hold *share* at a time. Never blocks."""

    def __init__(self, total: int, share: int) -> None:
        if not 0 <= share <= total:
            raise ValueError(f"share must be from 0 to {total}, not {share}")
        self._total = total
        self._share = share
        self._held = Counter[str]()
        self._lock = Lock()

    @classmethod
    def divide(cls, total: int, fraction: float) -> Self:
        """Return *total* places of which one owner may hold *fraction*, but at least one."""
        return cls(total, min(total, max(1, int(total * fraction))))

    def take(self, owner: str, code: str, detail: str) -> Release:
        """Take a place of *owner* and return what gives it back; raise RefusedError with *code* if there is none."""
        release = self.try_take(owner)
        if release is None:
            raise RefusedError(code, detail)
        return release

    def try_take(self, owner: str) -> Release | None:
        """Take a place of *owner* and return what gives it back; return None if there is none."""
        with self._lock:
            if self._held.total() >= self._total or self._held[owner] >= self._share:
                return None
            self._held[owner] += 1
        return Release(partial(self._give_back, owner))

    def _give_back(self, owner: str) -> None:
        with self._lock:
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]
