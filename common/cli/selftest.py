"""Runs the self-test of a press in a process of its own, to keep torch out of this one."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from common.errors import PressroomError

MODELS_ONLY = "--models-only"
"""The option that leaves out the safety checker."""


class SelftestError(PressroomError):
    """The press self-test failed."""


def run_selftest(environ: Mapping[str, str], seconds: float, *options: str) -> Iterator[dict[str, Any]]:
    """Yield the result of each part; raise SelftestError unless the test ends within *seconds* and tells its result."""
    command = [sys.executable, "-m", "worker.selftest", *options]
    try:
        done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise SelftestError(f"The press self-test took more than {seconds:.0f} s.") from None
    results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    yield from results
    if not results or (done.returncode != 0 and all(result["ok"] for result in results)):
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise SelftestError(f"The press self-test failed: {lines[-1]}.")
