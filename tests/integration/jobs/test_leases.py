"""Leases and fences, on both databases: what was lost is tried again, and what comes late changes nothing."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from common.db.engine import Database
from common.errors import FencedError, GenerationError
from common.jobs import attempts, lifecycle
from common.jobs.attempts import Claim, ClaimProgress, Spent
from common.states.jobs import JobStatus, Outcome
from common.tables import Attempt, Image, Job
from tests.support import factories

LATE = Spent(gpu_seconds=9.0, cpu_seconds=1.0, phases={"denoise": 9.0})


def _lose(database: Database, held: Claim, max_strikes: int = 3) -> tuple[int, int]:
    factories.age(database, held.job_id, "lease_until", timedelta(seconds=1))
    with database.transaction() as session:
        return lifecycle.requeue_lost_jobs(session, max_strikes)


def _outcomes(database: Database, held: Claim) -> list[Outcome]:
    with database.reading() as session:
        return list(
            session.scalars(select(Attempt.outcome).where(Attempt.job_id == held.job_id).order_by(Attempt.number))
        )


def test_a_lease_that_runs_out_puts_the_job_back(database: Database) -> None:
    held = factories.running(database)
    with database.transaction() as session:
        lifecycle.record_heartbeat(session, held.press_id, [ClaimProgress(held, 3, Spent())], factories.LEASE, {})
    assert _lose(database, held) == (1, 0)
    job = factories.read(database, held.job_id)
    assert (job.status, job.strikes, job.lease_until, job.press_id) == (JobStatus.QUEUED, 1, None, None)
    assert job.progress_step == 0
    assert _outcomes(database, held) == [Outcome.LOST]


def test_a_lease_that_still_runs_is_left_alone(database: Database) -> None:
    held = factories.running(database)
    with database.transaction() as session:
        assert lifecycle.requeue_lost_jobs(session, 3) == (0, 0)
    assert factories.read(database, held.job_id).status is JobStatus.RUNNING


def test_a_job_that_loses_three_presses_fails(database: Database) -> None:
    press = factories.press(database)
    held = factories.running(database, press)
    for _ in range(2):
        assert _lose(database, held) == (1, 0)
        again = factories.claim(database, press)
        assert again is not None
        held = again
    assert held.strikes == 3
    assert _lose(database, held) == (0, 1)
    job = factories.read(database, held.job_id)
    assert (job.status, job.error_code, job.error_retryable) == (JobStatus.FAILED, "worker_lost", True)
    assert job.finished_at is not None
    assert _outcomes(database, held) == [Outcome.LOST] * 3
    assert factories.claim(database, press) is None


def test_a_released_attempt_does_not_count_towards_the_cap(database: Database) -> None:
    press = factories.press(database)
    held = factories.running(database, press)
    for _ in range(5):
        with database.transaction() as session:
            lifecycle.release_job(session, held, Spent())
        again = factories.claim(database, press)
        assert again is not None
        held = again
    assert (held.attempt, held.strikes) == (6, 1)


LATE_MOVES: dict[str, Callable[[Session, Claim], object]] = {
    "succeed": lambda session, late: lifecycle.succeed_job(session, late, factories.images(late), LATE),
    "block": lambda session, late: lifecycle.block_job(session, late, factories.images(late), LATE),
    "fail": lambda session, late: lifecycle.fail_job(session, late, GenerationError(), LATE),
    "release": lambda session, late: lifecycle.release_job(session, late, LATE),
}


@pytest.mark.parametrize("verb", LATE_MOVES)
def test_a_late_press_changes_nothing_but_its_own_attempt(database: Database, verb: str) -> None:
    late = factories.running(database)
    _lose(database, late)
    current = factories.claim(database, factories.press(database))
    assert current is not None
    before = factories.read(database, late.job_id)

    with pytest.raises(FencedError), database.transaction() as session:
        LATE_MOVES[verb](session, late)
    with database.transaction() as session:
        attempts.record_late_spend(session, late, LATE)

    after = factories.read(database, late.job_id)
    assert _columns(after) == _columns(before)
    with database.reading() as session:
        assert session.scalars(select(Image)).all() == []
        first, second = session.scalars(select(Attempt).order_by(Attempt.number)).all()
    assert (first.outcome, first.gpu_seconds) == (Outcome.FENCED, 9.0)
    assert (second.outcome, second.gpu_seconds) == (Outcome.RUNNING, 0.0)

    with database.transaction() as session:
        lifecycle.succeed_job(session, current, factories.images(current), Spent(1.0))
    assert factories.read(database, late.job_id).status is JobStatus.SUCCEEDED


def _columns(job: Job) -> dict[str, object]:
    return {column.key: getattr(job, column.key) for column in Job.__mapper__.column_attrs}


def test_a_press_that_finishes_twice_publishes_once(database: Database) -> None:
    held = factories.running(database)
    with database.transaction() as session:
        lifecycle.succeed_job(session, held, factories.images(held), Spent(1.0))
    with pytest.raises(FencedError), database.transaction() as session:
        lifecycle.succeed_job(session, held, factories.images(held), Spent(2.0))
    with database.reading() as session:
        assert len(session.scalars(select(Image)).all()) == 1
        assert session.scalars(select(Attempt.gpu_seconds)).all() == [1.0]


def test_seconds_that_a_canceled_attempt_spends_afterwards_are_still_booked(database: Database) -> None:
    held = factories.running(database)
    with database.transaction() as session:
        lifecycle.cancel_job(session, session.get_one(Job, held.job_id))
    with database.transaction() as session:
        attempts.record_late_spend(session, held, LATE)
    assert _outcomes(database, held) == [Outcome.CANCELED]
    with database.reading() as session:
        assert session.scalars(select(Attempt.gpu_seconds)).all() == [9.0]
