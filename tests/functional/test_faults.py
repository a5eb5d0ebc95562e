"""Things that die, at the worst moment: what was accepted is printed all the same, once."""

import os
import signal
import time
from collections.abc import Callable

from common.states.jobs import JobStatus, Outcome
from tests.functional.backends import Backend, kill_broker
from tests.functional.stack import Stack, running
from tests.support.waiting import until
from worker.engine.painted import MOST_ROWS

MOST_IN_HAND = MOST_ROWS + 1
LONG = {"steps": 60}
"""Three seconds of work."""


def _order_20(stack: Stack) -> list[str]:
    """Submit 20 jobs, and return when a few have been printed and one is being printed."""
    ordered = [stack.client().order(steps=5, num_images=2) for _ in range(20)]
    until(lambda: stack.count(JobStatus.SUCCEEDED, ordered) >= 3, "the first jobs")
    until(lambda: stack.count(JobStatus.RUNNING, ordered) >= 1, "a job in hand")
    return ordered


def _check_each_was_printed_once(stack: Stack, ordered: list[str]) -> None:
    assert {row.status for row in stack.settle(ordered)} == {JobStatus.SUCCEEDED}
    assert {stack.image_count(job_id) for job_id in ordered} == {2}


def test_every_job_succeeds_once_after_press_and_broker_crash(stack: Stack) -> None:
    ordered = _order_20(stack)
    (press,) = stack.presses()
    os.kill(press.pid, signal.SIGKILL)
    kill_broker(stack.backend, stack.settings)
    _check_each_was_printed_once(stack, ordered)
    assert [attempt.outcome for attempt in stack.attempts(*ordered)].count(Outcome.LOST) <= MOST_IN_HAND


def test_the_press_receives_notifications_after_a_broker_crash(stack: Stack) -> None:
    ordered = _order_20(stack)
    (press,) = stack.presses()
    kill_broker(stack.backend, stack.settings)
    _check_each_was_printed_once(stack, ordered)
    assert [alive.id for alive in stack.presses()] == [press.id]


def test_jobs_are_accepted_while_the_broker_is_down(stack: Stack) -> None:
    kill_broker(stack.backend, stack.settings)
    started = time.monotonic()
    ordered = [stack.client().order() for _ in range(3)]
    assert time.monotonic() - started < 10
    assert {row.status for row in stack.settle(ordered)} == {JobStatus.SUCCEEDED}


def test_one_interrupt_ends_the_whole_stack(make_backend: Callable[[], Backend]) -> None:
    with running(make_backend(), farewell=signal.SIGINT) as stack:
        job_id = stack.client().order(**LONG)
        until(lambda: stack.count(JobStatus.RUNNING, [job_id]), "the job to run")
        presses = stack.presses()
        stack.stop()
        assert [press for press in presses if _lives(press.pid)] == []
        assert stack.rows(job_id)[0].status is JobStatus.QUEUED
        assert [attempt.outcome for attempt in stack.attempts(job_id)] == [Outcome.RELEASED]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
