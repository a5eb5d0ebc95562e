"""Alarms: call a function unless a block ends in time; a single thread serves all alarms.

A timer per request would start and stop a thread for each.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

POLL_SECONDS = 0.25
"""Maximum delay of an alarm."""


class Alarms:
    """The set of pending alarms and the thread that checks them."""

    def __init__(self) -> None:
        self._set: dict[object, tuple[float, Callable[[], None]]] = {}
        self._lock = threading.Lock()
        self._any = threading.Event()
        self._thread: threading.Thread | None = None

    def set(self, seconds: float, act: Callable[[], None]) -> object:
        """Schedule *act* in *seconds*; return a token for ``clear``."""
        token = object()
        with self._lock:
            self._set[token] = (time.monotonic() + seconds, act)
            if self._thread is None:
                self._thread = threading.Thread(target=self._poll, name="alarms", daemon=True)
                self._thread.start()
        self._any.set()
        return token

    def clear(self, token: object) -> None:
        """Cancel an alarm; has no effect if it already went off."""
        with self._lock:
            self._set.pop(token, None)

    def _poll(self) -> None:
        while True:
            self._any.wait()
            time.sleep(POLL_SECONDS)
            with self._lock:
                now = time.monotonic()
                due = [(token, act) for token, (at, act) in self._set.items() if at <= now]
                for token, _ in due:
                    del self._set[token]
                if not self._set:
                    self._any.clear()
            for _, act in due:
                act()


_alarms = Alarms()


@contextmanager
def set_alarm(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Call *act* once, in another thread, unless the block ends within *seconds* (and a quarter)."""
    token = _alarms.set(seconds, act)
    try:
        yield
    finally:
        _alarms.clear(token)
