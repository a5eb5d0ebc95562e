"""What a test adds to a running stack: presses and apis of its own, that break where it says."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy

from common.jobs.notifier import CeleryNotifier, create_celery
from tests.faults.support.proxy import Proxy
from tests.functional.backends import Services
from tests.functional.stack import Client, Stack
from tests.support.servers.api_servers import ROOT, answers
from tests.support.servers.processes import free_ports, own_folder, running
from tests.support.servers.services import Bucket

HASTY = {"PRESSROOM_PAINTED_STEP_SECONDS": "0.005"}
"""A press that prints ten times as fast as the others: for what is only to be got done."""


@contextmanager
def press(stack: Stack, *faults: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a press of *stack* that breaks as *faults* say; enter the block once it receives notifications."""
    environ = stack.environ | {"PYTHONPATH": str(ROOT), "PRESSROOM_FAULTS": ",".join(faults), **settings}
    with own_folder() as folder:
        log = folder / "log"
        command = [sys.executable, "-m", "worker.main"]
        with running(command, folder, lambda: "press_ready" in log.read_text(), environ=environ) as process:
            yield process
        stack.overheard.append(log.read_text(errors="replace"))


@contextmanager
def clerk(stack: Stack, *faults: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run one more clerk of *stack*, which breaks as *faults* say."""
    environ = stack.environ | {"PYTHONPATH": str(ROOT), "PRESSROOM_FAULTS": ",".join(faults)}
    with own_folder() as folder:
        with running([sys.executable, "-m", "common.clerk"], folder, lambda: True, environ=environ) as process:
            yield process
        stack.overheard.append((folder / "log").read_text(errors="replace"))


@contextmanager
def api(stack: Stack, *faults: str, **settings: str) -> Iterator[Client]:
    """Run one more api of *stack*, which breaks as *faults* say; yield ada's client of it."""
    (port,) = free_ports(1)
    mine = {"PYTHONPATH": str(ROOT), "PRESSROOM_BIND": f"127.0.0.1:{port}", "PRESSROOM_FAULTS": ",".join(faults)}
    flags = ["-c", "python:api.gunicorn_conf", "--log-level", "warning"]
    command = [sys.executable, "-m", "gunicorn", *flags, "api.wsgi:app"]
    with (
        own_folder() as folder,
        running(command, folder, lambda: answers(port), environ=stack.environ | mine | settings),
    ):
        client = Client(f"http://127.0.0.1:{port}", stack.client().key, None)
        yield client
        client.close()


@contextmanager
def bell(stack: Stack) -> Iterator[CeleryNotifier]:
    """Send notifications by hand."""
    celery = create_celery(stack.settings, patient=False)
    yield CeleryNotifier(celery)
    celery.close()


def is_passed(stack: Stack, point: str, number: int = 1) -> bool:
    """Tell whether some process that breaks has come by *point* so often."""
    return (stack.settings.home / "faults" / f"{point}.{number}").exists()


def forget_passes(stack: Stack) -> None:
    """Have the passes of every point counted from the start."""
    for token in (stack.settings.home / "faults").glob("*"):
        token.unlink()


class Linked(Services):
    """PostgreSQL, Redis and S3, each behind a proxy of its own."""

    def __init__(self, postgresql_server: str, bucket: Bucket, name: str) -> None:
        super().__init__(postgresql_server, bucket, name)
        self.direct_url = self.environ["PRESSROOM_DATABASE_URL"]
        self._url = sqlalchemy.make_url(self.direct_url)
        self.database_link = self.link_database()
        self.broker_link = Proxy(("127.0.0.1", urlsplit(self._redis_url).port or 0))
        self.storage_link = Proxy(("127.0.0.1", urlsplit(bucket.endpoint).port or 0))
        redis = urlsplit(self._redis_url)
        self.environ |= {
            "PRESSROOM_DATABASE_URL": self.name_database(self.database_link),
            "PRESSROOM_REDIS_URL": f"redis://:{redis.password}@127.0.0.1:{self.broker_link.port}/0",
            "PRESSROOM_S3_ENDPOINT": f"http://127.0.0.1:{self.storage_link.port}",
        }

    def link_database(self) -> Proxy:
        """Return one more proxy to the database."""
        return Proxy(Path(str(self._url.query["host"])) / ".s.PGSQL.5432")

    def name_database(self, link: Proxy) -> str:
        """Return the URL of the database behind *link*."""
        through = self._url.set(host="127.0.0.1", port=link.port, query={"sslmode": "disable"})
        return through.render_as_string(hide_password=False)

    @property
    def links(self) -> list[Proxy]:
        return [self.database_link, self.broker_link, self.storage_link]

    def heal(self) -> None:
        """Have every link carry everything again."""
        for link in self.links:
            link.heal()

    def close(self) -> None:
        for link in self.links:
            link.close()
        super().close()
