"""Servers under the soak: found among this process's children, paused, killed, and started again as they were."""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.servers.processes import die_with_parent, stop
from tests.support.waiting import until

START_SECONDS = 60


class RestartableServer:
    """A server, found by a word of its command line, that can be ended and started again in the same folder."""

    def __init__(self, word: str, is_ready: Callable[[], bool], farewell: signal.Signals = signal.SIGKILL) -> None:
        self._process = _find(word)
        self._command = self._process.cmdline()
        self._folder = Path(self._process.cwd())
        self._environ = self._process.environ()
        self._user, self._group = self._process.uids().real, self._process.gids().real
        self._is_ready = is_ready
        self._farewell = farewell
        self._mine: subprocess.Popen[bytes] | None = None

    def pause(self) -> None:
        """Stop it and all its children where they are; its connections stay open."""
        self._process.suspend()
        for child in self._process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.suspend()

    def resume(self) -> None:
        """Have it go on."""
        for child in self._process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.resume()
        self._process.resume()

    def end(self) -> None:
        """End it, by its own farewell signal."""
        self._process.send_signal(self._farewell)
        if self._mine is not None:
            self._mine.wait(START_SECONDS)
        else:
            until(lambda: self._process.status() == psutil.STATUS_ZOMBIE, "a server to end", START_SECONDS)

    def start(self) -> None:
        """Start it again, and wait until it answers. The kernel ends it with the thread that calls this."""
        identity = {"user": self._user, "group": self._group, "extra_groups": []} if os.geteuid() == 0 else {}
        with (self._folder / "log").open("ab") as output:
            self._mine = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  (one system call, no lock can be held in it)
                **identity,
            )
        self._process = psutil.Process(self._mine.pid)
        until(self._is_ready, "a server to answer", START_SECONDS)

    def close(self) -> None:
        """Stop what was started here."""
        if self._mine is not None:
            stop(self._mine, self._farewell)


def _find(word: str) -> psutil.Process:
    (found,) = [child for child in psutil.Process().children() if any(word in part for part in child.cmdline())]
    return found
