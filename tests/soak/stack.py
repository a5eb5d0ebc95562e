"""What the soak stands on: PostgreSQL, Redis and S3 of its own, and the processes of the stack, by name."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import sqlalchemy
from sqlalchemy.exc import OperationalError

from tests.functional.backends import Services
from tests.functional.stack import Stack
from tests.soak.restarts import RestartableServer
from tests.support.servers import services
from tests.support.servers.services import Bucket

PARTS = {"press": "worker.main", "api": "gunicorn", "clerk": "common.clerk"}


class SoakServers(Services):
    """The servers under a stack, each of which can be broken and mended."""

    def __init__(self, server_url: str, bucket: Bucket) -> None:
        super().__init__(server_url, bucket, "soak")
        engine = sqlalchemy.create_engine(server_url, poolclass=sqlalchemy.NullPool)
        # SIGINT is PostgreSQL's fast shutdown: every transaction that is open is rolled back.
        self.postgresql = RestartableServer("postgres", lambda: _connects(engine), signal.SIGINT)
        self.s3 = RestartableServer("weed", lambda: services._stores(bucket))

    def close(self) -> None:
        super().close()
        self.s3.close()
        self.postgresql.close()


@contextmanager
def start_servers() -> Iterator[SoakServers]:
    """Start the servers, and stop them when the block ends."""
    with services.start_postgresql() as server, services.start_s3() as bucket:
        yield SoakServers(server, bucket)


def find(stack: Stack, part: str) -> list[psutil.Process]:
    """Return the processes of one part of the stack that run now."""
    launcher = psutil.Process(stack.process.pid)
    found = []
    for child in launcher.children():
        try:
            if any(PARTS[part] in word for word in child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def kill(process: psutil.Process) -> None:
    """End a process as a lost machine does; its supervisor starts it again."""
    os.kill(process.pid, signal.SIGKILL)


def broker_pid(servers: SoakServers, stack: Stack) -> int:
    """Return the id of the broker's process."""
    with servers.connect(stack.settings) as client:
        return int(client.info("server")["process_id"])


def _connects(engine: sqlalchemy.Engine) -> bool:
    try:
        engine.connect().close()
    except OperationalError:
        return False
    return True


HISTORY = Path("var/soak")
"""Where reports and histories are written."""
