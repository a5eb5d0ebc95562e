"""The whole of Pressroom as a contestant: its processes, orders by HTTP, and what its own books say of them.

How jobs ended is read from the database, so that waiting for them costs the api nothing.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from sqlalchemy import select

from common.access import keys
from common.cli.client import Client
from common.cli.demo.temporary_stack import run_temporary_stack
from common.db.engine import Database
from common.settings import PREFIX, Settings
from common.states.jobs import TERMINAL, JobStatus
from common.tables import Attempt, Job, Press

LOOK_SECONDS = 0.05
PROMPT = "a fox on a red background"
WARM_UP = 8
"""Images that are printed before anything is measured."""


@dataclass(frozen=True)
class CpuSeconds:
    """What the processes of a stack have used, each thread of the press by itself."""

    threads: Mapping[int, float]
    others: Mapping[str, float]  # by the name of the process

    def since(self, earlier: "CpuSeconds") -> dict[str, float]:
        """Return what was used since then: by the engine's thread, by the rest of the press, by the other processes.

        The engine's thread is the busiest; right only where torch has no threads besides it.
        """
        used = [seconds - earlier.threads.get(number, 0.0) for number, seconds in self.threads.items()]
        named = {name: seconds - earlier.others.get(name, 0.0) for name, seconds in self.others.items()}
        return {"engine": max(used), "press besides the engine": sum(used) - max(used), **named}


class Service:
    """A stack that is up, and a key to it."""

    def __init__(self, settings: Settings, database: Database, client: Client) -> None:
        self._settings = settings
        self._database = database
        self._client = client

    def submit(self, **fields: Any) -> UUID:
        """Order one image; return the job's id."""
        return UUID(self._client.submit({"prompt": PROMPT, "priority": "bulk", **fields})["id"])

    def wait(self, job_ids: Sequence[UUID]) -> list[Job]:
        """Return these jobs when all have succeeded; fail if one has not."""
        while True:
            with self._database.reading() as session:
                jobs = list(session.scalars(select(Job).where(Job.id.in_(job_ids))))
            if all(job.status in TERMINAL for job in jobs):
                break
            time.sleep(LOOK_SECONDS)
        failed = {f"{job.status} {job.error_code or ''}" for job in jobs if job.status is not JobStatus.SUCCEEDED}
        if failed:
            raise RuntimeError(f"a job ended otherwise than printed: {', '.join(failed)}")
        return jobs

    def take(self, images: int, **fields: Any) -> float:
        """Order so many images at once; return the seconds from the first order to the last job's end."""
        jobs = self.wait([self.submit(seed=seed, **fields) for seed in range(images)])
        began = min(job.created_at for job in jobs)
        ended = max(job.finished_at for job in jobs if job.finished_at is not None)
        return (ended - began).total_seconds()

    def take_one(self) -> float:
        """Order one image of an idle press; return the seconds from the request to the end of the job."""
        began = time.time()
        (job,) = self.wait([self.submit(seed=1, priority="interactive")])
        assert job.finished_at is not None
        return job.finished_at.timestamp() - began

    def books(self) -> dict[str, float]:
        """Return the press's accelerator seconds: by phase, booked to jobs, overhead, busy."""
        time.sleep(2 * self._settings.beat_seconds)
        with self._database.reading() as session:
            shares: dict[str, float] = {}
            for phases in session.scalars(select(Attempt.phases)):
                for name, seconds in phases.items():
                    shares[name] = shares.get(name, 0.0) + seconds
            press = session.scalars(select(Press)).one()
            booked = sum(shares.values())
            return {**shares, "booked": booked, "overhead": sum(press.overhead.values()), "busy": press.busy_seconds}

    def cpu_seconds(self) -> CpuSeconds:
        """Read what all processes have used so far."""
        with self._database.reading() as session:
            press = psutil.Process(session.scalars(select(Press)).one().pid)
        launcher = psutil.Process(press.ppid())
        threads = {thread.id: thread.user_time + thread.system_time for thread in press.threads()}
        others: dict[str, float] = {}
        for process in (launcher, *launcher.children(recursive=True)):
            if process.pid != press.pid:
                name, times = _name(process), process.cpu_times()
                others[name] = others.get(name, 0.0) + times.user + times.system
        return CpuSeconds(threads, others)


@contextmanager
def running(
    models: Sequence[Path] = (), *, torch_threads: int | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """Run a stack that offers *models* until the block ends; it is warm, and torch has its own number of threads."""
    environ = dict(os.environ) | {PREFIX + name: value for name, value in (settings or {}).items()}
    if models:
        environ[f"{PREFIX}MODELS"] = ",".join(str(model) for model in models)
    if torch_threads is not None:
        environ["OMP_NUM_THREADS"] = str(torch_threads)
    with tempfile.TemporaryDirectory() as folder, run_temporary_stack(Path(folder) / "home", environ) as inner:
        database = Database(inner.sqlalchemy_url)
        with database.transaction() as session:
            key = keys.create_api_key(session, "bench")
        with Client(inner.client_url, key) as client:
            service = Service(inner, database, client)
            service.take(WARM_UP)
            yield service
        database.close()


def _name(process: psutil.Process) -> str:
    """Return what part of the stack a process is."""
    words = " ".join(process.cmdline())
    for part, sign in {"api": "gunicorn", "clerk": "clerk", "broker": "valkey", "launcher": "common.cli"}.items():
        if sign in words:
            return part
    return process.name()
