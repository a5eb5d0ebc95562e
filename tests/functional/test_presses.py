"""Two presses and many jobs: each job has one press, urgent jobs go first, and owners share fairly."""

import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from common.states.jobs import JobStatus, Priority
from tests.faults.support import press_process
from tests.functional.stack import Stack
from tests.support.servers.processes import stop
from tests.support.waiting import LOOK_SECONDS, until
from worker.engine.painted import MOST_ROWS

PRESSES = 2
MOST_IN_HAND = MOST_ROWS + 1
"""What a press may hold: as many jobs as are stepped together, and a quarter more whose images are being stored."""


@pytest.fixture(scope="module")
def running_stack(running_stack: Stack) -> Iterator[Stack]:
    """The shared stack with a second press."""
    with press_process.press(running_stack):
        yield running_stack


def test_40_jobs_of_two_owners_are_shared_fairly_and_urgent_ones_go_first(stack: Stack) -> None:
    with _busy_presses(stack):
        ordered = [
            stack.client(owner).order(steps=4, priority=priority)
            for priority in ("bulk", "interactive")
            for owner in ("ada", "grace")
            for _ in range(10)
        ]
    most_in_hand: Counter[UUID | None] = Counter()
    while stack.count(JobStatus.SUCCEEDED, ordered) < 40:
        most_in_hand |= Counter(row.press_id for row in stack.rows(*ordered) if row.status is JobStatus.RUNNING)
        time.sleep(LOOK_SECONDS)
    assert most_in_hand
    assert max(most_in_hand.values()) <= MOST_IN_HAND

    rows = {row.id: row for row in stack.rows(*ordered)}
    attempts = stack.attempts(*ordered)
    started = [rows[attempt.job_id] for attempt in attempts]
    # Presses that claim at the same moment may note the beginning of their attempts in either order.
    assert {row.priority for row in started[: 20 - PRESSES]} == {Priority.INTERACTIVE}
    assert {row.priority for row in started[20 + PRESSES :]} == {Priority.BULK}
    for owners in ([row.owner for row in started[:20]], [row.owner for row in started[20:]]):
        for length in range(21):
            assert abs(owners[:length].count("ada") - owners[:length].count("grace")) <= 2, owners
    assert {attempt.press_id for attempt in attempts} == {press.id for press in stack.presses()}


@contextmanager
def _busy_presses(stack: Stack) -> Iterator[None]:
    """Keep every press busy for the block, so that jobs submitted in it are queued before one is printed."""
    client = stack.client("eve")
    blocking = [client.order(steps=150, num_images=8) for _ in range(PRESSES)]
    until(lambda: stack.count(JobStatus.RUNNING, blocking) == PRESSES, "all presses to be busy")
    yield
    for job_id in blocking:
        client.post(f"/v1/jobs/{job_id}/cancel", status=200)


def test_a_job_is_printed_by_one_press_alone(stack: Stack) -> None:
    ordered = [stack.client().order(num_images=2) for _ in range(10)]
    stack.settle(ordered)
    attempts = stack.attempts(*ordered)
    assert len(attempts) == 10
    assert len({attempt.press_id for attempt in attempts}) == 2


def test_a_painted_press_does_not_load_torch(stack: Stack) -> None:
    for press in stack.presses():
        loaded = Path(f"/proc/{press.pid}/maps")
        if loaded.exists():
            assert "libtorch" not in loaded.read_text()


def test_a_painted_press_starts_quickly(stack: Stack) -> None:
    began, before = time.monotonic(), _cpu_seconds_of_children()
    press = subprocess.Popen(
        [sys.executable, "-m", "worker.main"], env=stack.environ, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        assert press.stderr is not None
        assert any(b"press_ready" in line for line in press.stderr)
        seconds = time.monotonic() - began
    finally:
        stop(press)
        press.stderr.close()
    cpu_seconds = _cpu_seconds_of_children() - before
    print(f"a painted press was up after {seconds:.2f} s, and took {cpu_seconds:.2f} s of a CPU in all its life")
    assert cpu_seconds < 6, "a second and a half, and what a slow and busy machine may add"


def _cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_presses_are_listed_by_their_heartbeats(stack: Stack) -> None:
    before = {press.id: press.heartbeat_at for press in stack.presses()}
    assert len(before) == 2
    until(lambda: all(press.heartbeat_at > before[press.id] for press in stack.presses()), "a heartbeat")
