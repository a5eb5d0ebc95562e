"""What a user would pick, each up and warm, asked in the same way: Pressroom, a plain Celery worker, LitServe."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import httpx2
from celery import Celery
from celery.result import AsyncResult

from common.models.catalog import ModelCard
from tests.bench.service import plain_worker, service
from tests.support.servers import services
from tests.support.servers.processes import free_ports, own_folder, running

PATIENCE_SECONDS = 600
PAUSE_SECONDS = 0.1
CONNECTIONS = 64
"""Requests that LitServe's clients keep open at once: each waits for its picture."""

Span = tuple[float, float]
"""When an order was sent and when it was done, by the clock of this machine."""


class Contestant(Protocol):
    """A server of orders for one picture each."""

    def send(self, seed: int) -> None:
        """Send an order without waiting for its picture."""

    def collect(self) -> list[Span]:
        """Wait for all that was sent since the last time, in the order in which it was sent."""

    def stand_still(self, *, still: bool) -> None:
        """Use no time while others are measured, or go on."""


class Pressroom:
    """The service with everything on."""

    def __init__(self, stack: service.Service) -> None:
        self._stack = stack
        self._sent: list[tuple[float, UUID]] = []

    def send(self, seed: int) -> None:
        """Post a job."""
        began = time.time()
        self._sent.append((began, self._stack.submit(seed=seed)))

    def collect(self) -> list[Span]:
        """Read from the database when the jobs ended."""
        sent, self._sent = self._sent, []
        jobs = {job.id: job for job in self._stack.wait([job_id for _, job_id in sent])}
        return [(began, jobs[job_id].finished_at.timestamp()) for began, job_id in sent]  # type: ignore[union-attr]

    def stand_still(self, *, still: bool) -> None:
        """Do nothing: without work it uses next to no time."""


class PlainWorker:
    """A Celery worker that calls the pipeline."""

    def __init__(self, app: Celery, card: ModelCard) -> None:
        self._app = app
        self._wish = (card.default_steps, card.default_guidance_scale)
        self._sent: list[tuple[float, AsyncResult[Any]]] = []

    def send(self, seed: int) -> None:
        """Send a task."""
        began = time.time()
        self._sent.append((began, self._app.send_task(plain_worker.TASK, (service.PROMPT, seed, *self._wish))))

    def collect(self) -> list[Span]:
        """Wait for the results, in which the worker noted when it was done."""
        sent, self._sent = self._sent, []
        for _, result in sent:
            result.get(timeout=PATIENCE_SECONDS)
        return [(began, result.date_done.timestamp()) for began, result in sent]

    def stand_still(self, *, still: bool) -> None:
        """Do nothing: without work it uses next to no time."""


class LitServe:
    """A LitServe server, each request in a thread of its own."""

    def __init__(self, group: int, http: httpx2.Client, pool: ThreadPoolExecutor, card: ModelCard) -> None:
        self._group = group
        self._http = http
        self._pool = pool
        self._wish = {"steps": card.default_steps, "guidance_scale": card.default_guidance_scale}
        self._sent: list[tuple[float, Future[float]]] = []

    def send(self, seed: int) -> None:
        """Post a request; it is answered when its picture is drawn."""
        self._sent.append((time.time(), self._pool.submit(self._ask, seed)))

    def collect(self) -> list[Span]:
        """Wait for the answers."""
        sent, self._sent = self._sent, []
        return [(began, answered.result()) for began, answered in sent]

    def stand_still(self, *, still: bool) -> None:
        """Stop its processes, which look for work so often that they use a sixth of a core, or have them go on."""
        os.killpg(self._group, signal.SIGSTOP if still else signal.SIGCONT)

    def _ask(self, seed: int) -> float:
        answer = self._http.post("/predict", json={"prompt": service.PROMPT, "seed": seed, **self._wish})
        answer.raise_for_status()
        return time.time()


@contextmanager
def pressroom(card: ModelCard, directory: Path, torch_threads: int) -> Iterator[Contestant]:
    """Run Pressroom."""
    with service.running([directory], torch_threads=torch_threads) as stack:
        yield Pressroom(stack)


@contextmanager
def celery_worker(card: ModelCard, directory: Path, torch_threads: int) -> Iterator[Contestant]:
    """Run a plain worker and its broker."""
    with services.start_redis() as url, own_folder() as folder:
        app = plain_worker.create(url)
        options = ["--broker", url, "--pictures", folder]
        command = _command(plain_worker.__name__, directory, torch_threads, options)
        with running(command, folder, lambda: True, environ=_environ()):
            contestant = PlainWorker(app, card)
            _warm_up(contestant)
            yield contestant
        app.close()


@contextmanager
def litserve(card: ModelCard, directory: Path, torch_threads: int) -> Iterator[Contestant]:
    """Run LitServe."""
    (port,) = free_ports(1)
    limits = httpx2.Limits(max_connections=CONNECTIONS)
    with (
        own_folder() as folder,
        httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS, limits=limits, trust_env=False
        ) as http,
        ThreadPoolExecutor(CONNECTIONS) as pool,
    ):
        options = ["--port", str(port), "--pictures", folder]
        command = _command("tests.bench.service.litserve_server", directory, torch_threads, options)
        with running(command, folder, lambda: True, environ=_environ()) as process:
            try:
                _await_health(http, process)
                contestant = LitServe(process.pid, http, pool, card)
                _warm_up(contestant)
                contestant.stand_still(still=True)
                yield contestant
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # told to end, it leaves its workers behind


@contextmanager
def awake(contestant: Contestant) -> Iterator[None]:
    """Have a contestant go on for the block."""
    contestant.stand_still(still=False)
    try:
        yield
    finally:
        contestant.stand_still(still=True)


KINDS = {"Pressroom": pressroom, "Celery worker": celery_worker, "LitServe": litserve}


def _command(module: str, directory: Path, torch_threads: int, options: Sequence[str | Path]) -> list[str | Path]:
    return [sys.executable, "-m", module, directory.resolve(), "--torch-threads", str(torch_threads), *options]


def _environ() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(__file__).parents[3]), "HF_HUB_OFFLINE": "1"}


def _warm_up(contestant: Contestant) -> None:
    for seed in range(service.WARM_UP):
        contestant.send(seed)
    contestant.collect()


def _await_health(http: httpx2.Client, process: subprocess.Popen[bytes]) -> None:
    """Return when the server answers; on a busy machine importing torch alone can take a minute."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if http.get("/health", timeout=1).is_success:
                return
        except httpx2.HTTPError:
            time.sleep(PAUSE_SECONDS)
    raise RuntimeError("LitServe does not answer")
