"""What the stack is made of: an embedded broker, the api, presses and the clerk, on one data directory."""

import fcntl
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2

from common.db import schema
from common.db.engine import Database
from common.errors import PressroomError, SettingsError
from common.launcher import valkey
from common.launcher.bind_address import build_probe_url, parse_bind
from common.launcher.child import Child
from common.launcher.supervisor import Supervisor, print_line
from common.models import catalog
from common.models.adapters import read_adapter_directory
from common.settings import PREFIX, Settings
from common.settings.private_files import protect_data_directory

API_GRACE_SECONDS = 15
PRESS_MARGIN_SECONDS = 15
"""What a press may take beyond its drain: its last uploads and its goodbye."""

PATIENCE_SECONDS = 60
"""How long the api may take to answer before somebody is told."""

ROUND_SECONDS = 0.5
PROBE_SECONDS = 1


def run_stack(settings: Settings, environ: Mapping[str, str], *, presses: int = 1) -> int:
    """Run the whole stack until SIGINT or SIGTERM; return the exit status."""
    protect_data_directory(settings.home)
    settings.home.mkdir(parents=True, exist_ok=True)
    with _lock_data_directory(settings):
        _check_port(settings.bind)
        settings.read_secret()
        prepare_database(settings)
        children = _ChildFactory(settings, environ)
        broker = [children.broker()] if settings.is_redis_embedded else []
        press = [children.press(number, presses) for number in range(1, presses + 1)]
        api, clerk = children.api(), children.clerk()
        supervisor = Supervisor([*broker, api, *press, clerk], farewell=[*press, api, clerk, *broker])
        for child in broker:
            _start_broker(settings, child)
        return supervisor.run(on_round=_ReadinessAnnouncer(settings))


def prepare_database(settings: Settings) -> None:
    """Bring the database to the newest schema and enter the models on offer that it does not know yet."""
    offered = catalog.load_offered_models(settings)
    for card, _ in offered.values():
        if card.fault is not None:
            print_line("up", f"the model {card.name} is not available: {card.fault}")
    cards = read_adapter_directory(settings).equip_all(offered)
    database = Database.of(settings)
    try:
        schema.upgrade_schema(database)
        with database.transaction() as session:
            catalog.register_new_models(session, cards)
    finally:
        database.close()


class _ChildFactory:
    """Makes the children of one stack."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = {**environ, "PYTHONUNBUFFERED": "1"}
        if settings.log_format == "auto" and sys.stderr.isatty():
            self._environ[f"{PREFIX}LOG_FORMAT"] = "console"  # the children see a pipe, their reader a terminal

    def broker(self) -> Child:
        directory = self._settings.home.resolve() / "valkey"
        valkey.prepare_server(directory, self._settings.redis_socket)
        return self._child("broker", valkey.build_command(directory, self._settings.redis_socket), API_GRACE_SECONDS)

    def api(self) -> Child:
        grace = ("--graceful-timeout", "10")  # sooner than a server on its own: whoever pressed Ctrl-C waits
        flags = ("--no-control-socket", "--log-level", "warning", *grace)
        command = [sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", *flags, "api.wsgi:app"]
        return self._child("api", command, API_GRACE_SECONDS)

    def press(self, number: int, count: int) -> Child:
        name = "press" if count == 1 else f"press-{number}"
        grace = self._settings.drain_seconds + PRESS_MARGIN_SECONDS
        return self._child(name, [sys.executable, "-m", "worker.main"], grace)

    def clerk(self) -> Child:
        return self._child("clerk", [sys.executable, "-m", "common.clerk"], API_GRACE_SECONDS)

    def _child(self, name: str, command: list[str], grace_seconds: float) -> Child:
        return Child(name, command, environ=self._environ, grace_seconds=grace_seconds, say=print_line)


class _ReadinessAnnouncer:
    """Tells once, when the api answers, where it is and what to do next."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = f"{build_probe_url(settings.bind)}/healthz"
        self._next_at = time.monotonic()
        self._late_at = time.monotonic() + PATIENCE_SECONDS
        self._is_done = False

    def __call__(self) -> None:
        now = time.monotonic()
        if self._is_done or now < self._next_at:
            return
        self._next_at = now + ROUND_SECONDS
        if self._answers():
            self._is_done = True
            print(_format_welcome(self._settings), flush=True)  # noqa: T201  (for whoever started it)
        elif now > self._late_at:
            self._late_at = now + PATIENCE_SECONDS
            print_line("up", f"the api is not responding yet at {self._url}")

    def _answers(self) -> bool:
        try:
            return httpx2.get(self._url, timeout=PROBE_SECONDS, trust_env=False).is_success
        except httpx2.HTTPError:
            return False


def _format_welcome(settings: Settings) -> str:
    url = settings.base_url
    program = "pressroom" if shutil.which("pressroom") else os.path.relpath(Path(sys.executable).with_name("pressroom"))
    return f"""
  Pressroom is up.

    API            {url}/v1
    Documentation  {url}/docs
    Data           {settings.home.resolve()}

    Create a key   {program} keys create --name me
    First image    PRESSROOM_API_KEY=<the key> {program} submit "a fox on a red background" --wait --out .

  Press Ctrl-C to stop.
"""


def _start_broker(settings: Settings, broker: Child) -> None:
    broker.start()
    try:
        valkey.await_server(settings.redis_socket, is_alive=lambda: not broker.wait(0))
    except PressroomError:
        broker.stop()
        raise


@contextmanager
def _lock_data_directory(settings: Settings) -> Iterator[None]:
    """Hold the data directory for this stack alone."""
    path = settings.home / "up.lock"
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().decode(errors="replace").strip()
            raise SettingsError(
                f"Pressroom is already running in {settings.home} (process {holder}); stop it, or set {PREFIX}HOME."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        yield


def _check_port(bind: str) -> None:
    host, port = parse_bind(bind)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SettingsError(f"The api cannot listen on {bind}: {reason}; set {PREFIX}BIND.") from None
