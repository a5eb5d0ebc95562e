"""Runs a program on an untrusted file: without environment, within limits of memory and time, a few at a time.

Parsers of images and workbooks are written in C, and a file may have been made to harm whoever opens it. The program
reads the file from standard input and writes its result to standard output; ``sys.exit("reason")`` refuses the file.
"""

import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import BoundedSemaphore
from typing import IO

WITH_LIMITS = 'ulimit -t "$1" && ulimit -c 0 && { ulimit -v "$2" || :; } 2>/dev/null && shift 2 && exec "$@"'
"""Shell script that runs a command with at most $1 seconds of a core and $2 KiB of memory, and without core dumps.

A threaded parent must not run Python code between fork and exec, and a shell starts in a millisecond. macOS lacks the
limit of memory; only what the program itself counts bounds it there.
"""


class SandboxBusyError(Exception):
    """No program may be started now: too many are running."""


class FileRefusedError(Exception):
    """The program refused the file, or exceeded a limit."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        """The program's own reason, to be trusted only if it is a known one; empty if it was too slow."""


class Sandbox:
    """Limits for programs of one kind, and for how many of them run at a time: each takes memory and a core."""

    def __init__(self, *, memory_bytes: int, cpu_seconds: float, places: int, wait_seconds: float) -> None:
        self._limits = (math.ceil(cpu_seconds), memory_bytes // 1024)
        self._cpu_seconds = cpu_seconds
        self._places = BoundedSemaphore(places)
        self._wait_seconds = wait_seconds

    def run_program(self, program: Path, file: IO[bytes], *arguments: str) -> bytes:
        """Return the output of *program* for *file*; raise SandboxBusyError or FileRefusedError."""
        with self.start_program(program, file, *arguments) as process:
            try:
                output, errors = process.communicate(timeout=2 * self._cpu_seconds)
            except subprocess.TimeoutExpired:
                raise FileRefusedError from None
        if process.returncode:
            raise FileRefusedError(_read_reason(errors))
        return output

    @contextmanager
    def start_program(self, program: Path, file: IO[bytes], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Yield the running *program*, which is killed at the end of the block; raise SandboxBusyError.

        *file* is read from its current position. Its output is the caller's to read, followed by ``check_exit``.
        """
        if not self._places.acquire(timeout=self._wait_seconds):
            raise SandboxBusyError
        try:
            # -I: nothing can be imported from the current directory; no environment: no secret can leak.
            command = [sys.executable, "-I", str(program), *arguments]
            limited = ["/bin/sh", "-c", WITH_LIMITS, "sandbox", *map(str, self._limits), *command]
            with subprocess.Popen(
                limited, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}
            ) as process:
                try:
                    yield process
                finally:
                    process.kill()
        finally:
            self._places.release()

    def check_exit(self, process: subprocess.Popen[bytes]) -> None:
        """Raise FileRefusedError unless *process*, whose output has been read to its end, exits successfully."""
        try:
            status = process.wait(self._cpu_seconds)
        except subprocess.TimeoutExpired:
            raise FileRefusedError from None
        if status:
            assert process.stderr is not None  # noqa: S101  (it is a pipe)
            raise FileRefusedError(_read_reason(process.stderr.read()))


def _read_reason(errors: bytes) -> str:
    return errors.decode(errors="replace").strip()
