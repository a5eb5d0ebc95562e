"""The whole of Pressroom, started by ``pressroom up`` as its user would, and a client that talks to it by HTTP."""

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import select

from common.access import keys
from common.db.engine import Database
from common.settings import Settings
from common.states.jobs import TERMINAL, JobStatus
from common.storage import open_storage
from common.storage.port import Storage
from common.tables import Attempt, Image, Job, Press
from tests.functional.backends import Backend
from tests.support import customer_text, invariants
from tests.support.servers.api_servers import ROOT
from tests.support.servers.processes import die_with_parent, free_ports, own_folder, stop
from tests.support.waiting import PATIENCE_SECONDS, until
from worker.engine.painted import MOST_ROWS

STEP_SECONDS = 0.05
LEASE_SECONDS = 3
CUSTOMER_TEXT = "canary-3f9a"
"""Part of every prompt, negative prompt and metadata that the tests send, and must stand in no log, no object's key
and no column but those that are meant for it."""

QUICK = {
    "PRESSROOM_MODELS": "painted",
    "PRESSROOM_MAX_BATCH": str(MOST_ROWS),
    "PRESSROOM_CHECKER": "scripted",
    "PRESSROOM_PAINTED_STEP_SECONDS": str(STEP_SECONDS),
    "PRESSROOM_LEASE_SECONDS": str(LEASE_SECONDS),
    "PRESSROOM_BEAT_SECONDS": "0.3",
    "PRESSROOM_TICK_SECONDS": "0.25",
    "PRESSROOM_DRAIN_SECONDS": "0.2",
}
"""A stack that prints by brush and forgets a silent press after three seconds."""


@dataclass
class Stack:
    """A running Pressroom: its processes by id, its database and storage for a look inside."""

    settings: Settings
    environ: dict[str, str]
    backend: Backend
    log: Path
    process: subprocess.Popen[bytes]
    database: Database
    storage: Storage
    farewell: signal.Signals
    clients: dict[str, "Client"] = field(default_factory=dict)
    overheard: list[str] = field(default_factory=list)
    """What was written by processes that a test has added."""
    verified: set[str] = field(default_factory=set)
    """The keys of the objects whose content an earlier check has verified."""

    def stop(self) -> None:
        """Send the one signal that ends the stack; fail unless it ends in order."""
        if self.process.poll() is None:
            self.process.send_signal(self.farewell)
        assert self.process.wait(PATIENCE_SECONDS) == 0
        assert "was killed" not in self.log.read_text(), "a process did not end by itself"

    def client(self, owner: str = "ada") -> "Client":
        """Return the client of *owner*, who has a key of their own."""
        if owner not in self.clients:
            with self.database.transaction() as session:
                key = keys.create_api_key(session, owner)
            self.clients[owner] = Client(self.settings.base_url, key, self.backend.authority)
        return self.clients[owner]

    def command(self, *words: str) -> str:
        """Run ``pressroom`` with *words* in the stack's own environment; return what it printed."""
        program = Path(sys.executable).with_name("pressroom")
        return subprocess.run(
            [program, *words], env=self.environ, check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        ).stdout

    def presses(self) -> list[Press]:
        """Return the presses that have not said goodbye and whose process lives."""
        with self.database.reading() as session:
            rows = session.scalars(select(Press).where(Press.stopped_at.is_(None)))
            return [row for row in rows if _lives(row.pid)]

    def attempts(self, *job_ids: str) -> list[Attempt]:
        """Return the attempts at these jobs, in the order in which they began."""
        with self.database.reading() as session:
            wanted = [UUID(job_id) for job_id in job_ids]
            return list(session.scalars(select(Attempt).where(Attempt.job_id.in_(wanted)).order_by(Attempt.started_at)))

    def rows(self, *job_ids: str) -> list[Job]:
        """Return these jobs as they stand in the database."""
        with self.database.reading() as session:
            return list(session.scalars(select(Job).where(Job.id.in_([UUID(job_id) for job_id in job_ids]))))

    def count(self, status: JobStatus, job_ids: list[str]) -> int:
        """Return how many of these jobs have *status*."""
        return sum(row.status is status for row in self.rows(*job_ids))

    def settle(self, job_ids: list[str], seconds: float = PATIENCE_SECONDS) -> list[Job]:
        """Wait until these jobs have ended, and return them."""
        until(lambda: all(row.status in TERMINAL for row in self.rows(*job_ids)), "jobs to end", seconds)
        return self.rows(*job_ids)

    def image_count(self, job_id: str) -> int:
        """Return how many image rows a job has."""
        with self.database.reading() as session:
            return len(session.scalars(select(Image.id).where(Image.job_id == UUID(job_id))).all())

    def check(self) -> None:
        """Settle everything, then hold the state of the whole against the promises."""
        accepted = [job_id for client in self.clients.values() for job_id in client.accepted]
        self.settle(accepted)
        until(self._is_quiet, "the presses to report")
        accepted_ids = {UUID(job_id) for job_id in accepted}
        invariants.check(self.database, self.storage, accepted=accepted_ids, verified=self.verified)
        written = "".join([self.log.read_text(errors="replace"), *self.overheard])
        for secret in [CUSTOMER_TEXT, *self.backend.secrets, *(client.key for client in self.clients.values())]:
            assert secret not in written, "a prompt or a secret stands in the log"
        assert customer_text.find_misplaced_text(self.database, self.storage, CUSTOMER_TEXT) == []
        for fault in ("deadlock detected", "attempt_crashed", "database is locked"):
            assert fault not in written

    def _is_quiet(self) -> bool:
        """Tell whether all work in hand, canceled or late, has been booked: a canceled attempt stops at a step."""
        with self.database.reading() as session:
            before = session.scalars(select(Press.busy_seconds).order_by(Press.id)).all()
        time.sleep(2 * self.settings.beat_seconds)
        with self.database.reading() as session:
            return session.scalars(select(Press.busy_seconds).order_by(Press.id)).all() == before


class Client:
    """Somebody with a key: orders by HTTP and remembers what was accepted."""

    def __init__(self, url: str, key: str, authority: Path | None) -> None:
        self.key = key
        self.accepted: list[str] = []
        self.http = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE_SECONDS, trust_env=False
        )
        verify = ssl.create_default_context(cafile=authority) if authority else True
        self.stranger = httpx2.Client(verify=verify, timeout=PATIENCE_SECONDS, trust_env=False)

    def post(self, path: str, *, status: int, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
        """Send *body*, expect *status*, and return the answer."""
        answer = self.http.post(path, json=body or None, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def order(self, prompt: str = "a lighthouse", *, headers: dict[str, str] | None = None, **fields: Any) -> str:
        """Order a job of two steps unless *fields* says otherwise; return its id."""
        body = {
            "prompt": f"{prompt} {CUSTOMER_TEXT}",
            "width": 64,
            "height": 64,
            "steps": 2,
            "metadata": {"note": CUSTOMER_TEXT},
        }
        answer = self.http.post("/v1/jobs", json=body | fields, headers=headers)
        assert answer.status_code in (200, 202), answer.text
        job_id: str = answer.json()["id"]
        self.accepted.append(job_id)
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        """Return the job as the api shows it."""
        answer = self.http.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait(self, job_id: str) -> dict[str, Any]:
        """Poll until the job has ended, and return it."""
        until(lambda: JobStatus(self.job(job_id)["status"]).is_terminal, "the job to end")
        return self.job(job_id)

    def close(self) -> None:
        self.http.close()
        self.stranger.close()


@contextmanager
def running(
    backend: Backend,
    *,
    presses: int = 1,
    settings: dict[str, str] = QUICK,
    farewell: signal.Signals = signal.SIGTERM,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Iterator[Stack]:
    """Start the stack, yield it when it is ready, check what it has done, and stop it."""
    with own_folder() as folder, pytest.MonkeyPatch.context() as patch:
        (port,) = free_ports(1)
        chosen = {"PRESSROOM_HOME": str(folder / "var"), "PRESSROOM_BIND": f"127.0.0.1:{port}"}
        chosen |= settings | backend.environ
        for name, value in chosen.items():
            if not name.startswith("PRESSROOM_"):
                patch.setenv(name, value)  # boto3 reads its own, here as there
        environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), **chosen}
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("pressroom"), "up", "--presses", str(presses)],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  (one system call, no lock can be held in it)
            )
        try:
            parsed = Settings.from_environ(chosen)
            _await_ready(parsed, process, presses, log, patience_seconds)
            stack = Stack(
                settings=parsed,
                environ=environ,
                backend=backend,
                log=log,
                process=process,
                database=Database(parsed.sqlalchemy_url),
                storage=open_storage(parsed),
                farewell=farewell,
            )
            try:
                yield stack
                stack.stop()
            finally:
                for client in stack.clients.values():
                    client.close()
                stack.database.close()
        finally:
            stop(process)
            backend.close()


def _await_ready(settings: Settings, process: subprocess.Popen[bytes], presses: int, log: Path, seconds: float) -> None:
    def is_ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            answers = httpx2.get(f"{settings.base_url}/readyz", timeout=5, trust_env=False).is_success
        except httpx2.HTTPError:
            return False
        return answers and log.read_text().count("press_ready") >= presses

    try:
        until(is_ready, "the stack", seconds)
    except pytest.fail.Exception:
        sys.stderr.write(log.read_text()[-4000:])
        raise


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
