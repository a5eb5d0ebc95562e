"""Child processes of the tests: started in a directory of their own, awaited, and stopped by their id."""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

READY_SECONDS = 60
STOP_SECONDS = 10
PR_SET_PDEATHSIG = 1


class ServiceFailedError(Exception):
    """A service ended, or did not answer in time; the message ends with what it wrote."""


def free_ports(count: int) -> list[int]:
    """Return *count* TCP ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def die_with_parent() -> None:
    """Have the kernel end this process when its parent dies, however it dies (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def own_folder(user: pwd.struct_passwd | None = None) -> Iterator[Path]:
    """Yield a short-named directory, owned by *user* if one is given, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pressroom-"))
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(
    command: Sequence[str | Path],
    folder: Path,
    is_ready: Callable[[], bool],
    *,
    environ: Mapping[str, str] | None = None,
    user: pwd.struct_passwd | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in *folder* until the block ends; enter the block once *is_ready* says so."""
    log = folder / "log"
    identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509  (one system call, no lock can be held in it)
            **identity,
        )
    try:
        _await_ready(process, is_ready, log)
        yield process
    finally:
        stop(process, stop_signal)


def stop(process: subprocess.Popen[bytes], first: signal.Signals = signal.SIGTERM) -> None:
    """End *process* with signal *first*, and with SIGKILL if that does not do."""
    if process.poll() is None:
        process.send_signal(first)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _await_ready(process: subprocess.Popen[bytes], is_ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            state = f"ended with status {process.returncode}" if process.poll() is not None else "does not answer"
            raise ServiceFailedError(f"{process.args[0]} {state}:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)
