"""Keeps children running until a signal, then ends them in order."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from common.launcher.child import Child
from common.settings import EXIT_BAD_SETTINGS

ROUND_SECONDS = 0.1
LONGEST_NAME = 7


class Supervisor:
    """Starts children in the order given and ends them in the order of *farewell*."""

    def __init__(self, children: Sequence[Child], farewell: Sequence[Child]) -> None:
        self._children = children
        self._farewell = farewell
        self._signals = 0
        self._wake = threading.Event()

    def run(self, on_round: Callable[[], None]) -> int:
        """Keep the children running, calling *on_round* in between; return the exit status of the whole."""
        status = 0
        with self._listening():
            try:
                while not self._signals and not status:
                    status = self._check_children()
                    on_round()
                    self._wake.wait(ROUND_SECONDS)
            finally:
                self._stop_all()
        return status

    def _check_children(self) -> int:
        for child in self._children:
            ended = child.collect()
            if ended == EXIT_BAD_SETTINGS:
                return EXIT_BAD_SETTINGS
            if ended is not None:
                print_line(
                    "up", f"{child.name} {_format_exit_status(ended)}; restarting in {child.pause_seconds:.1f} s"
                )
            if child.is_due:
                child.start()
        return 0

    def _stop_all(self) -> None:
        for child in self._farewell:
            if not child.stop(is_hurried=lambda: self._signals > 1):
                print_line("up", f"{child.name} did not stop in time and was killed")

    @contextmanager
    def _listening(self) -> Iterator[None]:
        def note(_number: int, _frame: FrameType | None) -> None:
            self._signals += 1
            self._wake.set()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = [signal.signal(number, note) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


def print_line(name: str, line: str) -> None:
    """Pass on one line that *name* wrote."""
    try:
        sys.stderr.write(f"{name:<{LONGEST_NAME}} | {line}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # nobody reads any more, or this process is on its way out


def _format_exit_status(status: int) -> str:
    if status < 0:
        return f"was terminated by {signal.Signals(-status).name}"
    return f"exited with status {status}"
