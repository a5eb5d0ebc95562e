"""The api behind its real server, on SQLite: a child process that offers the painted model, and a key of ada's."""

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from common.access import keys
from common.db import schema
from common.db.engine import Database
from common.models import catalog
from tests.support.servers import processes

ROOT = Path(__file__).resolve().parents[3]


class Server(NamedTuple):
    """A running server, and what it takes to use it."""

    port: int
    key: str
    log: Path
    process: subprocess.Popen[bytes]
    database: Database


@contextmanager
def serving(**settings: str) -> Iterator[Server]:
    """Run the server, with *settings* by their variables' names, until the block ends."""
    with processes.own_folder() as folder:
        (port,) = processes.free_ports(1)
        database = Database(f"sqlite:///{folder / 'pressroom.db'}")
        schema.upgrade_schema(database)
        with database.transaction() as session:
            catalog.register_models(session, [catalog.PAINTED_CARD])
            key = keys.create_api_key(session, "ada")
        environ = {
            "PYTHONPATH": str(ROOT),
            "PRESSROOM_HOME": str(folder),
            "PRESSROOM_BIND": f"127.0.0.1:{port}",
            "PRESSROOM_LOG_FORMAT": "json",
            **settings,
        }
        command = [sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"]
        try:
            with processes.running(command, folder, lambda: answers(port), environ=environ) as process:
                yield Server(port, key, folder / "log", process, database)
        finally:
            database.close()


def answers(port: int) -> bool:
    """Tell whether the server on *port* does."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
