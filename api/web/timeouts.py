"""Alarms: something to be done unless a block has ended in time; one thread sees to all of them.

A timer of its own would cost each request the start and the end of a thread.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOK_SECONDS = 0.25
"""How late an alarm may be."""


class Alarms:
    """Those that are set, and the thread that looks at them while there are any."""

    def __init__(self) -> None:
        self._set: dict[object, tuple[float, Callable[[], None]]] = {}
        self._lock = threading.Lock()
        self._any = threading.Event()
        self._thread: threading.Thread | None = None

    def set(self, seconds: float, act: Callable[[], None]) -> object:
        """Have *act* called in so many seconds; return what ``clear`` takes."""
        token = object()
        with self._lock:
            self._set[token] = (time.monotonic() + seconds, act)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="alarms", daemon=True)
                self._thread.start()
        self._any.set()
        return token

    def clear(self, token: object) -> None:
        """Call off an alarm; one that has gone off already stays so."""
        with self._lock:
            self._set.pop(token, None)

    def _look(self) -> None:
        while True:
            self._any.wait()
            time.sleep(LOOK_SECONDS)
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
def alarmed(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Call *act* once, in another thread, unless the block ends within *seconds* (and a quarter)."""
    token = _alarms.set(seconds, act)
    try:
        yield
    finally:
        _alarms.clear(token)
