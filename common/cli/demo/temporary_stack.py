"""Run a temporary stack with embedded services in its own folder."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2

from common.errors import ApiUnreachableError
from common.settings import PREFIX, Settings

INHERITED_SETTINGS = (
    *("MODELS", "DEFAULT_MODEL", "DEVICE", "PRECISION", "SPEED", "MAX_BATCH", "CHECKER", "SAFETY_OFF_ACKNOWLEDGED"),
    *("GPU_PRICE_PER_HOUR", "CURRENCY", "PAINTED_STEP_SECONDS"),
    *("PROVENANCE", "PROVENANCE_CERTIFICATE", "PROVENANCE_KEY", "PUBLICATION_HOOK", "PUBLICATION_HOOK_SECONDS"),
)
"""Settings inherited from the environment; all others have their defaults."""

READY_SECONDS = 120
STOP_SECONDS = 120
PAUSE_SECONDS = 0.1
TAIL_LINES = 15


@contextmanager
def run_temporary_stack(home: Path, environ: Mapping[str, str]) -> Iterator[Settings]:
    """Run a stack in *home*, which is removed after a clean end; yield its settings once the api answers."""
    home.mkdir(parents=True)
    kept = {PREFIX + name for name in INHERITED_SETTINGS}
    inner = {name: value for name, value in environ.items() if not name.startswith(PREFIX) or name in kept}
    inner |= {f"{PREFIX}HOME": str(home.resolve()), f"{PREFIX}BIND": f"127.0.0.1:{_find_free_port()}"}
    log = home / "up.log"
    with log.open("wb") as output:
        stack = subprocess.Popen(
            [sys.executable, "-m", "common.cli", "up"],
            env=inner,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches only this process, which then stops the stack
        )
    settings = Settings.from_environ({name: value for name, value in inner.items() if name.startswith(PREFIX)})
    try:
        _await_api(stack, settings.client_url, log)
        yield settings
    finally:
        status = _stop_stack(stack)
    if status != 0:
        raise ApiUnreachableError(f"The stack exited with status {status}; see {log}.")
    shutil.rmtree(home)


def _await_api(stack: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while stack.poll() is None and time.monotonic() < deadline:
        try:
            if httpx2.get(f"{url}/healthz", timeout=1, trust_env=False).is_success:
                return
        except httpx2.HTTPError:
            time.sleep(PAUSE_SECONDS)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
    raise ApiUnreachableError(f"The stack did not start. Last lines of {log}:\n{tail}")


def _stop_stack(stack: subprocess.Popen[bytes]) -> int:
    if stack.poll() is None:
        stack.send_signal(signal.SIGTERM)
    try:
        return stack.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        stack.kill()  # its child processes end with it
        return stack.wait()


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
