"""Runs the self-test of a press in a process of its own, to keep torch out of this one."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any

from common.errors import PressroomError

MODELS_ONLY = "--models-only"
"""The option that leaves out the safety checker."""


class SelftestError(PressroomError):
    """The press self-test failed."""


def run_selftest(environ: Mapping[str, str], seconds: float, *options: str) -> Iterator[dict[str, Any]]:
    """Yield the result of each part as soon as it is known.

    Raises SelftestError if a part takes more than *seconds*, or the test ends without a result.
    """
    command = [sys.executable, "-m", "worker.selftest", *options]
    fits, told, running = True, False, "the start"
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, env=dict(environ), stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101  (it is a pipe)
        try:
            for result in _read_results(process.stdout, seconds):
                if result["ok"] is None:
                    running = f"the {result['part']} {result['name']}"
                    continue
                fits, told, running = fits and result["ok"], True, "the end"
                yield result
            status = process.wait(seconds)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise SelftestError(f"The press self-test took more than {seconds:.0f} s for {running}.") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines() or [f"status {status}"]
    if not told or (status != 0 and fits):
        raise SelftestError(f"The press self-test failed: {lines[-1]}.")


def _read_results(output: IO[bytes], seconds: float) -> Iterator[dict[str, Any]]:
    """Yield what each line tells; raise TimeoutError if none comes for so many seconds."""
    unread = b""
    late_at = time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([output], [], [], max(0.0, late_at - time.monotonic()))
        if not ready:
            raise TimeoutError
        data = os.read(output.fileno(), 65536)
        if not data:
            return
        *lines, unread = (unread + data).split(b"\n")
        for line in lines:
            if line.startswith(b"{"):  # libraries may print as well
                yield json.loads(line)
                late_at = time.monotonic() + seconds
