"""One supervised process: started, watched, started again with back-off, stopped."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from common.launcher import parent_death

PAUSE_SECONDS = 0.1
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_AFTER_SECONDS = 30.0
"""A process that lived this long is taken for sound: its next failure counts as the first."""

FINAL_OUTPUT_SECONDS = 1.0
"""How long what a process wrote at its very end may take to be passed on."""


class Child:
    """A process in a session of its own, which ends when this one ends, however this one ends.

    Linux ties a process to the *thread* that started it, so one thread must make all calls of ``start``.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        grace_seconds: float,
        say: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self.grace_seconds = grace_seconds
        self._command = list(command)
        self._environ = dict(environ)
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._output: threading.Thread | None = None
        self._started_at = 0.0
        self._due_at = 0.0
        self._failures = 0

    @property
    def pid(self) -> int | None:
        """Return the process id, or None while it does not run."""
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        """Return whether it was started and its end has not been noticed."""
        return self._process is not None

    @property
    def is_due(self) -> bool:
        """Return whether it should be started now."""
        return self._process is None and time.monotonic() >= self._due_at

    def start(self) -> None:
        """Start the process; what it writes is passed on line by line."""
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", str(Path(parent_death.__file__)), str(os.getpid()), *self._command],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal must reach the supervisor alone
        )
        self._started_at = time.monotonic()
        self._output = threading.Thread(
            target=self._pass_on, args=(self._process.stdout,), name=f"{self.name}-output", daemon=True
        )
        self._output.start()

    def collect(self) -> int | None:
        """Return the exit status if the process has ended since the last call, and plan its next start."""
        if self._process is None or (status := self._process.poll()) is None:
            return None
        self.signal(signal.SIGKILL)  # whatever it left behind in its session
        self._process = None
        now = time.monotonic()
        self._failures = 1 if now - self._started_at >= HEALTHY_AFTER_SECONDS else self._failures + 1
        self._due_at = now + min(FIRST_PAUSE_SECONDS * 2 ** (self._failures - 1), LONGEST_PAUSE_SECONDS)
        return status

    @property
    def pause_seconds(self) -> float:
        """Return how long it is until the next start."""
        return max(0.0, self._due_at - time.monotonic())

    def signal(self, number: signal.Signals, *, whole_session: bool = True) -> None:
        """Send a signal to the process, or to all of its session."""
        if self._process is None:
            return
        try:
            if whole_session:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        except ProcessLookupError:
            return

    def wait(self, seconds: float) -> bool:
        """Wait for the end; return whether it came within so many seconds."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, *, is_hurried: Callable[[], bool] = lambda: False) -> bool:
        """End the process, by force when its grace is over or there is a hurry; return whether it ended by itself."""
        if self._process is None:
            return True
        self.signal(signal.SIGTERM, whole_session=False)
        deadline = time.monotonic() + self.grace_seconds
        while not (has_ended := self.wait(PAUSE_SECONDS)) and time.monotonic() < deadline and not is_hurried():
            continue
        if not has_ended:
            self.signal(signal.SIGKILL)
            self._process.wait()
        self.collect()
        if self._output is not None:
            self._output.join(FINAL_OUTPUT_SECONDS)
        return has_ended

    def _pass_on(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                self._say(self.name, line.decode(errors="replace").rstrip("\n"))
