"""Things that die, at the worst moment: what was accepted is printed all the same, once."""

import os
import signal
import time
from collections.abc import Callable

from common.models import Attempt
from common.states import JobStatus, Outcome
from tests.functional.backends import Backend, kill_broker
from tests.functional.stack import LEASE_SECONDS, STEP_SECONDS, Stack, running
from tests.waiting import until
from worker.engine.painted import MOST_ROWS

MOST_IN_HAND = MOST_ROWS + 1
LONG = {"steps": 60}
"""Three seconds of work."""


def _order_20(stack: Stack) -> list[str]:
    """Order 20 jobs, and return when a few have been printed and one is being printed."""
    ordered = [stack.client().order(steps=5, num_images=2) for _ in range(20)]
    until(lambda: stack.count(JobStatus.SUCCEEDED, ordered) >= 3, "the first jobs")
    until(lambda: stack.count(JobStatus.RUNNING, ordered) >= 1, "a job in hand")
    return ordered


def _check_each_was_printed_once(stack: Stack, ordered: list[str]) -> None:
    assert {row.status for row in stack.settle(ordered)} == {JobStatus.SUCCEEDED}
    assert {stack.image_count(job_id) for job_id in ordered} == {2}


def test_after_the_death_of_the_press_and_of_the_broker_every_job_succeeds_once(stack: Stack) -> None:
    ordered = _order_20(stack)
    (press,) = stack.presses()
    os.kill(press.pid, signal.SIGKILL)
    kill_broker(stack.backend, stack.settings)
    _check_each_was_printed_once(stack, ordered)
    assert [attempt.outcome for attempt in stack.attempts(*ordered)].count(Outcome.LOST) <= MOST_IN_HAND


def test_after_a_flush_of_the_broker_work_goes_on_within_seconds(stack: Stack) -> None:
    ordered = _order_20(stack)
    with stack.backend.connect(stack.settings) as broker:
        broker.flushall()
    flushed_at = time.monotonic()
    done = stack.count(JobStatus.SUCCEEDED, ordered)
    until(lambda: stack.count(JobStatus.SUCCEEDED, ordered) >= min(20, done + 3), "work after the flush")
    waited = time.monotonic() - flushed_at
    _check_each_was_printed_once(stack, ordered)
    assert waited < 15


def test_after_the_death_of_the_broker_alone_the_press_still_hears(stack: Stack) -> None:
    ordered = _order_20(stack)
    (press,) = stack.presses()
    kill_broker(stack.backend, stack.settings)
    _check_each_was_printed_once(stack, ordered)
    assert [alive.id for alive in stack.presses()] == [press.id]


def test_orders_are_accepted_while_the_broker_is_away(stack: Stack) -> None:
    kill_broker(stack.backend, stack.settings)
    started = time.monotonic()
    ordered = [stack.client().order() for _ in range(3)]
    assert time.monotonic() - started < 10
    assert {row.status for row in stack.settle(ordered)} == {JobStatus.SUCCEEDED}


def test_a_press_that_is_asked_to_stop_gives_its_job_back_and_another_prints_it(stack: Stack) -> None:
    client = stack.client()
    job_id = client.order(**LONG)
    until(lambda: client.job(job_id)["progress"]["step"] > 3, "progress")
    (press,) = stack.presses()
    os.kill(press.pid, signal.SIGTERM)
    (row,) = stack.settle([job_id])
    assert row.status is JobStatus.SUCCEEDED
    first, second = stack.attempts(job_id)
    assert (first.outcome, second.outcome) == (Outcome.RELEASED, Outcome.SUCCEEDED)
    assert first.press_id == press.id
    assert second.press_id != press.id
    assert row.strikes == 1, "a press that leaves in order is no fault of the job"
    assert first.ended_at is not None
    assert (first.ended_at - first.started_at).total_seconds() < LONG["steps"] * STEP_SECONDS


def test_a_job_that_kills_every_press_is_given_up(stack: Stack) -> None:
    client = stack.client()
    job_id = client.order(steps=150)
    for number in range(1, 4):
        attempt = _await_attempt(stack, job_id, number)
        (press,) = [press for press in stack.presses() if press.id == attempt.press_id]
        os.kill(press.pid, signal.SIGKILL)
    job = client.wait(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "worker_lost")
    assert [attempt.outcome for attempt in stack.attempts(job_id)] == [Outcome.LOST] * 3
    assert client.wait(client.order())["status"] == "succeeded"


def test_a_paused_press_comes_too_late_and_changes_nothing(stack: Stack) -> None:
    client = stack.client()
    job_id = client.order(**LONG)
    until(lambda: client.job(job_id)["progress"]["step"] > 3, "progress")
    (press,) = stack.presses()
    os.kill(press.pid, signal.SIGSTOP)
    try:
        until(lambda: stack.rows(job_id)[0].status is JobStatus.QUEUED, "the lease to run out", 4 * LEASE_SECONDS + 10)
    finally:
        os.kill(press.pid, signal.SIGCONT)
    job = client.wait(job_id)
    assert job["status"] == "succeeded"
    outcomes = [attempt.outcome for attempt in stack.attempts(job_id)]
    assert outcomes in ([Outcome.FENCED, Outcome.SUCCEEDED], [Outcome.LOST, Outcome.SUCCEEDED])
    assert stack.image_count(job_id) == 1


def test_one_interrupt_ends_the_whole_stack(make_backend: Callable[[], Backend]) -> None:
    with running(make_backend(), farewell=signal.SIGINT) as stack:
        job_id = stack.client().order(**LONG)
        until(lambda: stack.count(JobStatus.RUNNING, [job_id]), "the job to run")
        presses = stack.presses()
        stack.stop()
        assert [press for press in presses if _lives(press.pid)] == []
        assert stack.rows(job_id)[0].status is JobStatus.QUEUED
        assert [attempt.outcome for attempt in stack.attempts(job_id)] == [Outcome.RELEASED]


def _await_attempt(stack: Stack, job_id: str, number: int) -> Attempt:
    """Return the attempt of this number once it has begun, however soon after the one before."""

    def begun() -> list[Attempt]:
        return [attempt for attempt in stack.attempts(job_id) if attempt.number == number]

    (attempt,) = until(begun, f"attempt {number}")
    return attempt


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
