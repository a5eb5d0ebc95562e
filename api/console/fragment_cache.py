"""Parts of pages that many look at: made once for all of them, at most every few seconds."""

import hashlib
import threading
import time
from collections.abc import Callable, Hashable
from typing import NamedTuple

FRESH_SECONDS = 3.0
SHARE = 0.05
"""Of the time that may go into making one snapshot anew: what takes long to make is made less often."""

MOST = 1000


class Snapshot(NamedTuple):
    """A part of a page, and the name of this state of it."""

    html: str
    version: str
    fresh_until: float


class Snapshots:
    """Keeps what was made; while one thread makes it anew, the others are shown what there was."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Snapshot] = {}
        self._locks: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def read(self, name: Hashable, make: Callable[[], str], fresh: float = FRESH_SECONDS) -> Snapshot:
        """Return the part called *name*, so many seconds old at most unless it is being made just now."""
        kept = self._kept.get(name)
        if kept is not None and time.monotonic() < kept.fresh_until:
            return kept
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        if kept is not None and not lock.acquire(blocking=False):
            return kept
        if kept is None:
            lock.acquire()
        try:
            return self._renew(name, make, fresh)
        finally:
            lock.release()

    def _renew(self, name: Hashable, make: Callable[[], str], fresh: float) -> Snapshot:
        kept = self._kept.get(name)
        if kept is not None and time.monotonic() < kept.fresh_until:
            return kept  # made by another thread while this one waited
        began = time.monotonic()
        html = make()
        ended = time.monotonic()
        version = hashlib.sha256(html.encode()).hexdigest()[:24]
        made = Snapshot(html, version, ended + max(fresh, (ended - began) / SHARE))
        with self._lock:
            if len(self._kept) >= MOST:
                self._kept.clear()
                self._locks.clear()
            self._kept[name] = made
        return made
