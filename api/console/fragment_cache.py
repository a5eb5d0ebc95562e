"""Cache page fragments that many visitors share; each is rendered at most once every few seconds."""

import hashlib
import threading
import time
from collections.abc import Callable, Hashable
from typing import NamedTuple

FRESH_SECONDS = 3.0
RENDER_TIME_SHARE = 0.05
"""The maximum share of time spent rendering one snapshot; slow fragments are rendered less often."""

MOST_FRAGMENTS = 1000


class Fragment(NamedTuple):
    """A rendered fragment and its version."""

    html: str
    version: str
    fresh_until: float


class FragmentCache:
    """A cache of fragments; while one thread renders a fragment, the others get the previous one."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Fragment] = {}
        self._locks: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def read(self, name: Hashable, make: Callable[[], str], fresh: float = FRESH_SECONDS) -> Fragment:
        """Return the fragment *name*, at most *fresh* seconds old unless another thread is rendering it."""
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

    def _renew(self, name: Hashable, make: Callable[[], str], fresh: float) -> Fragment:
        kept = self._kept.get(name)
        if kept is not None and time.monotonic() < kept.fresh_until:
            return kept  # rendered by another thread in the meantime
        began = time.monotonic()
        html = make()
        ended = time.monotonic()
        version = hashlib.sha256(html.encode()).hexdigest()[:24]
        made = Fragment(html, version, ended + max(fresh, (ended - began) / RENDER_TIME_SHARE))
        with self._lock:
            if len(self._kept) >= MOST_FRAGMENTS:
                self._kept.clear()
                self._locks.clear()
            self._kept[name] = made
        return made
