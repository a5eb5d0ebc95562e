"""Presses that die, stop and leave at every point of a job's way: it is printed all the same, and once."""

import fcntl
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from common.clerk import orphans
from common.db.clock import now_sql
from common.states.jobs import JobStatus, Outcome
from common.storage.keys import build_attempt_prefix
from common.tables import Attempt, Press, WebhookMessage
from tests.faults.support import press_process
from tests.functional.stack import Stack
from tests.support.servers.webhook_receivers import receiving
from tests.support.waiting import LOOK_SECONDS, until

LONG = {"steps": 100}
"""Five seconds of work."""


def _die_at(stack: Stack, point: str, **fields: Any) -> str:
    """Submit a job, and have a press come as far as *point* with it; return its id."""
    with press_process.press(stack, f"{point}:kill") as doomed:
        job_id = stack.client().order(**fields)
        assert doomed.wait(60) == -signal.SIGKILL
    return job_id


def _outcomes(stack: Stack, job_id: str) -> list[Outcome]:
    return [attempt.outcome for attempt in stack.attempts(job_id)]


def _end_with_another_press(stack: Stack, job_id: str) -> JobStatus:
    with press_process.press(stack):
        (row,) = stack.settle([job_id])
    return row.status


def _objects(stack: Stack, job_id: str, attempt: int) -> list[str]:
    (row,) = stack.rows(job_id)
    return list(stack.storage.list_keys(build_attempt_prefix(row.owner, row.id, attempt)))


def test_f01_a_press_that_dies_before_its_claim_costs_nothing(stack: Stack) -> None:
    job_id = _die_at(stack, "received")
    assert stack.attempts(job_id) == []
    assert _end_with_another_press(stack, job_id) is JobStatus.SUCCEEDED
    assert _outcomes(stack, job_id) == [Outcome.SUCCEEDED]
    assert stack.rows(job_id)[0].strikes == 1


def test_f15_a_press_that_fails_every_job_is_taken_out_and_another_prints_them(stack: Stack) -> None:
    ordered = [stack.client().order() for _ in range(6)]
    with press_process.press(stack, "generated:raise@1-") as sick:
        until(lambda: [press for press in stack.presses() if press.fault], "the press to be out of service")
        with press_process.press(stack):
            assert {row.status for row in stack.settle(ordered)} == {JobStatus.SUCCEEDED}
        assert sick.poll() is None
    assert {attempt.outcome for attempt in stack.attempts(*ordered)} == {Outcome.RETRIED, Outcome.SUCCEEDED}


def test_f01_a_lost_notification_is_sent_again(stack: Stack) -> None:
    job_id = stack.client().order()
    with stack.backend.connect(stack.settings) as broker:
        until(lambda: broker.lpop("press.painted"), "a notifier to steal")
    assert _end_with_another_press(stack, job_id) is JobStatus.SUCCEEDED
    assert len(stack.attempts(job_id)) == 1


def test_f02_a_press_that_dies_after_its_claim_loses_one_attempt(stack: Stack) -> None:
    job_id = _die_at(stack, "claimed")
    assert _end_with_another_press(stack, job_id) is JobStatus.SUCCEEDED
    assert _outcomes(stack, job_id) == [Outcome.LOST, Outcome.SUCCEEDED]


def test_f03_a_press_that_dies_at_a_step_has_its_seconds_booked_as_waste(stack: Stack) -> None:
    with press_process.press(stack) as doomed:
        job_id = stack.client().order(steps=150)
        until(lambda: [row for row in stack.attempts(job_id) if row.gpu_seconds > 0], "a beat")
        doomed.kill()
        doomed.wait()
    with press_process.press(stack, **press_process.HASTY):
        stack.settle([job_id])
    lost, made = stack.attempts(job_id)
    assert (lost.outcome, made.outcome) == (Outcome.LOST, Outcome.SUCCEEDED)
    assert lost.gpu_seconds > 0


def test_f04_a_press_that_dies_before_the_upload_leaves_nothing_behind(stack: Stack) -> None:
    job_id = _die_at(stack, "generated")
    assert _objects(stack, job_id, 1) == []
    assert _end_with_another_press(stack, job_id) is JobStatus.SUCCEEDED
    assert _outcomes(stack, job_id) == [Outcome.LOST, Outcome.SUCCEEDED]


@pytest.mark.parametrize(("point", "left"), [("uploaded_first", 2), ("uploaded", 4)])
def test_f05_f06_a_press_that_dies_among_uploads_leaves_orphans_that_are_collected(
    stack: Stack, point: str, left: int
) -> None:
    job_id = _die_at(stack, point, num_images=2)
    assert len(_objects(stack, job_id, 1)) == left
    assert _end_with_another_press(stack, job_id) is JobStatus.SUCCEEDED
    assert _outcomes(stack, job_id) == [Outcome.LOST, Outcome.SUCCEEDED]
    assert (stack.image_count(job_id), len(_objects(stack, job_id, 2))) == (2, 4)

    with stack.database.transaction() as session:
        session.execute(update(Attempt).values(ended_at=now_sql(session, -timedelta(hours=2))))
    orphans.collect_orphans(stack.database, stack.storage)
    assert _objects(stack, job_id, 1) == []
    assert len(_objects(stack, job_id, 2)) == 4


def test_f07_a_press_that_dies_after_its_commit_is_not_repeated(stack: Stack) -> None:
    job_id = _die_at(stack, "committed")
    (before,) = stack.rows(job_id)
    assert before.status is JobStatus.SUCCEEDED
    with press_process.bell(stack) as notifier, press_process.press(stack):
        notifier.notify(before.model, before.id)
        another = stack.client().order()
        stack.settle([another])
    assert _outcomes(stack, job_id) == [Outcome.SUCCEEDED]
    assert stack.rows(job_id)[0].finished_at == before.finished_at


def test_f08_a_press_that_dies_after_its_commit_has_its_webhook_sent_once(stack: Stack) -> None:
    with receiving() as receiver:
        job_id = _die_at(stack, "committed", webhook_url=receiver.url)
        (received,) = receiver.wait(1)
    assert job_id.encode() in received.body
    with stack.database.reading() as session:
        (owed,) = session.scalars(select(WebhookMessage).where(WebhookMessage.job_id == stack.rows(job_id)[0].id))
    assert (owed.event, owed.tries) == ("job.succeeded", 1)


def test_f10_a_paused_press_comes_too_late_and_changes_nothing(stack: Stack) -> None:
    with press_process.press(stack) as paused:
        job_id = stack.client().order(**LONG)
        until(lambda: [row for row in stack.attempts(job_id) if row.gpu_seconds > 0], "a beat")
        _pause_outside_a_transaction(stack, paused)
        try:
            with press_process.press(stack, **press_process.HASTY):
                (row,) = stack.settle([job_id])
        finally:
            paused.send_signal(signal.SIGCONT)
        assert row.status is JobStatus.SUCCEEDED
        until(lambda: _outcomes(stack, job_id) == [Outcome.FENCED, Outcome.SUCCEEDED], "the late press to be fenced")
    assert stack.image_count(job_id) == 1
    assert stack.rows(job_id)[0].finished_at == row.finished_at


def _pause_outside_a_transaction(stack: Stack, process: subprocess.Popen[bytes]) -> None:
    """Stop *process* where it does not hold SQLite's one turn to write: there it would stop everybody."""
    turn = Path(f"{stack.database.url.database}-writers")
    while True:
        process.send_signal(signal.SIGSTOP)
        for _ in range(20):
            with turn.open("ab") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(LOOK_SECONDS)
                else:
                    return
        process.send_signal(signal.SIGCONT)
        time.sleep(LOOK_SECONDS)


def test_f11_a_hanging_press_reports_the_reason_before_its_watchdog_ends_it(stack: Stack) -> None:
    with press_process.press(stack, "stepped:sleep=60", PRESSROOM_STEP_TIMEOUT_SECONDS="4") as hanging:
        job_id = stack.client().order()
        assert hanging.wait(60) == 1
    assert "Timeout" in stack.overheard[-1], "the traceback of a hang"
    (attempt,) = stack.attempts(job_id)
    assert (attempt.outcome, attempt.error_code) == (Outcome.RETRIED, "step_timeout")
    assert _end_with_another_press(stack, job_id) is JobStatus.SUCCEEDED


def test_f14_a_job_that_kills_every_press_fails_after_three(stack: Stack) -> None:
    client = stack.client()
    job_id = client.order()
    for strike in range(1, 4):
        with press_process.press(stack, "claimed:kill@1-") as doomed:
            assert doomed.wait(60) == -signal.SIGKILL
        assert stack.rows(job_id)[0].attempt == strike
    job = client.wait(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "worker_lost")
    assert _outcomes(stack, job_id) == [Outcome.LOST] * 3
    assert _end_with_another_press(stack, client.order()) is JobStatus.SUCCEEDED


def test_f54_an_idle_press_that_is_asked_to_stop_claims_nothing_more(stack: Stack) -> None:
    with press_process.press(stack) as press:
        stack.settle([stack.client().order()])
        press.send_signal(signal.SIGTERM)
        assert press.wait(60) == 0
    late = stack.client().order()
    assert stack.attempts(late) == []
    assert _end_with_another_press(stack, late) is JobStatus.SUCCEEDED


def test_f54_a_press_stopped_before_its_first_notification_is_marked_as_stopped(stack: Stack) -> None:
    with press_process.press(stack) as press:
        press.send_signal(signal.SIGTERM)
        assert press.wait(60) == 0
    with stack.database.reading() as session:
        newest = session.scalars(select(Press).order_by(Press.started_at.desc())).first()
    assert newest is not None
    assert (newest.pid, newest.stopped_at is None) == (press.pid, False)


def test_f54_rolling_restarts_fail_no_job_and_count_no_strike(stack: Stack) -> None:
    client = stack.client()
    ordered = [client.order(steps=10) for _ in range(20)]
    for done in (2, 6):
        with press_process.press(stack) as press:
            until(lambda done=done: stack.count(JobStatus.SUCCEEDED, ordered) >= done, "some jobs")
            press.send_signal(signal.SIGTERM)
            assert press.wait(60) == 0
        assert stack.count(JobStatus.RUNNING, ordered) == 0, "what it had in hand was given back or finished"
    with press_process.press(stack):
        assert {row.status for row in stack.settle(ordered)} == {JobStatus.SUCCEEDED}
    assert {row.strikes for row in stack.rows(*ordered)} == {1}
    assert {attempt.outcome for attempt in stack.attempts(*ordered)} <= {Outcome.SUCCEEDED, Outcome.RELEASED}
