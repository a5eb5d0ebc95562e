"""The life of a job, on both databases: every move of the table can be made, and no other."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from common.db.engine import Database
from common.errors import FencedError, GenerationError, IllegalTransitionError, OutOfMemoryError, QueueFullError
from common.jobs import lifecycle
from common.jobs.attempts import Claim, ClaimProgress, Spent
from common.states.jobs import JOB_TRANSITIONS, ImageStatus, JobStatus, Outcome
from common.tables import Attempt, Image, Job, Press
from tests.support import factories

SPENT = Spent(gpu_seconds=1.5, cpu_seconds=0.25, phases={"encode": 0.1, "denoise": 1.3, "decode": 0.1})


def _attempts(database: Database, job_id: object) -> list[Attempt]:
    with database.reading() as session:
        return list(session.scalars(select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.number)))


def _succeed(database: Database, held: Claim) -> None:
    with database.transaction() as session:
        lifecycle.succeed_job(session, held, factories.images(held), SPENT)


def test_a_job_is_queued_claimed_printed_and_published(database: Database) -> None:
    job = factories.submit(database, request={"num_images": 2}, annotations={"order": "42"})
    assert (job.status, job.attempt, job.annotations) == (JobStatus.QUEUED, 0, {"order": "42"})
    assert job.created_at <= job.due_at

    press = factories.press(database)
    held = factories.claim(database, press)
    assert held is not None
    assert (held.job_id, held.attempt, held.press_id, held.strikes) == (job.id, 1, press, 1)
    running = factories.read(database, job.id)
    assert running.status is JobStatus.RUNNING
    assert running.started_at is not None
    assert running.lease_until is not None

    _succeed(database, held)
    done = factories.read(database, job.id)
    assert (done.status, done.progress_step, done.lease_until) == (JobStatus.SUCCEEDED, done.steps, None)
    assert done.finished_at is not None
    assert done.started_at == running.started_at
    with database.reading() as session:
        images = list(session.scalars(select(Image).where(Image.job_id == job.id).order_by(Image.position)))
    assert [(image.position, image.seed, image.attempt) for image in images] == [(0, 7, 1), (1, 8, 1)]
    (attempt,) = _attempts(database, job.id)
    assert (attempt.outcome, attempt.gpu_seconds, attempt.cpu_seconds) == (Outcome.SUCCEEDED, 1.5, 0.25)
    assert attempt.phases == SPENT.phases
    assert attempt.ended_at is not None


def _to(target: JobStatus, database: Database, held: Claim) -> None:
    """Try the move to *target*, by the function that makes it."""
    with database.transaction() as session:
        match target:
            case JobStatus.SUCCEEDED:
                lifecycle.succeed_job(session, held, factories.images(held), SPENT)
            case JobStatus.FAILED:
                lifecycle.fail_job(session, held, GenerationError(), SPENT)
            case JobStatus.CANCELED:
                lifecycle.cancel_job(session, session.get_one(Job, held.job_id))
            case JobStatus.QUEUED:
                lifecycle.release_job(session, held, SPENT)
            case JobStatus.EXPIRED:
                if not lifecycle.expire_due_jobs(session):
                    raise IllegalTransitionError
            case JobStatus.RUNNING:
                models = [held.request.model]
                lease = factories.LEASE
                if lifecycle.claim_job(session, held.press_id, models, (), lease=lease, max_strikes=3) is None:
                    raise IllegalTransitionError


MOVES = [(source, target) for source in JobStatus for target in JobStatus]


@pytest.mark.parametrize(("source", "target"), MOVES, ids=[f"{source}-{target}" for source, target in MOVES])
def test_a_job_makes_exactly_the_transitions_of_the_table(
    database: Database, source: JobStatus, target: JobStatus
) -> None:
    held = factories.running(database)
    factories.put(database, held.job_id, source)
    if target is JobStatus.EXPIRED:
        factories.age(database, held.job_id, "deadline_at", timedelta(seconds=1))

    if target in JOB_TRANSITIONS[source]:
        _to(target, database, held)
        assert factories.read(database, held.job_id).status is target
    else:
        before = factories.read(database, held.job_id)
        with pytest.raises((FencedError, IllegalTransitionError)):
            _to(target, database, held)
        after = factories.read(database, held.job_id)
        assert after.status is source
        assert after.finished_at == before.finished_at
        with database.reading() as session:
            assert session.scalars(select(Image)).all() == []


def test_a_terminal_job_cannot_be_canceled_and_says_why(database: Database) -> None:
    held = factories.running(database)
    _succeed(database, held)
    with database.transaction() as session:
        job = session.get_one(Job, held.job_id)
        with pytest.raises(IllegalTransitionError, match="already succeeded"):
            lifecycle.cancel_job(session, job)


def test_the_queue_limit_of_an_owner_is_enforced(database: Database) -> None:
    for _ in range(3):
        factories.submit(database, "ada", max_queued=3)
    with pytest.raises(QueueFullError):
        factories.submit(database, "ada", max_queued=3)
    factories.submit(database, "grace", max_queued=3)
    factories.claim(database, factories.press(database))
    factories.claim(database, factories.press(database))
    factories.submit(database, "ada", max_queued=3)


def test_a_permanent_error_ends_the_job_at_once(database: Database) -> None:
    held = factories.running(database)
    with database.transaction() as session:
        assert lifecycle.fail_job(session, held, GenerationError("The model is upset."), SPENT) is JobStatus.FAILED
    job = factories.read(database, held.job_id)
    assert (job.status, job.error_code, job.error_retryable) == (JobStatus.FAILED, "generation_failed", False)
    assert job.error_message == "The model is upset."
    (attempt,) = _attempts(database, held.job_id)
    assert (attempt.outcome, attempt.error_code, attempt.gpu_seconds) == (Outcome.FAILED, "generation_failed", 1.5)


def test_a_transient_error_backs_off_longer_each_time_and_fails_at_the_cap(database: Database) -> None:
    press = factories.press(database)
    job = factories.submit(database)
    waits = []
    for strikes in (1, 2):
        held = factories.claim(database, press)
        assert held is not None
        assert held.strikes == strikes
        with database.transaction() as session:
            assert lifecycle.fail_job(session, held, OutOfMemoryError(), SPENT) is JobStatus.QUEUED
        row = factories.read(database, job.id)
        ended = _attempts(database, job.id)[-1].ended_at
        assert ended is not None
        waits.append((row.due_at - ended).total_seconds())
        assert factories.claim(database, press) is None, "not due yet"
        factories.age(database, job.id, "due_at", timedelta(seconds=1))
    assert lifecycle.BACKOFF_SECONDS * 0.7 < waits[0] < lifecycle.BACKOFF_SECONDS * 1.3
    assert lifecycle.BACKOFF_SECONDS * 1.4 < waits[1] < lifecycle.BACKOFF_SECONDS * 2.6

    last = factories.claim(database, press)
    assert last is not None
    with database.transaction() as session:
        assert lifecycle.fail_job(session, last, OutOfMemoryError(), SPENT) is JobStatus.FAILED
    row = factories.read(database, job.id)
    assert (row.error_code, row.error_retryable) == ("out_of_memory", True)
    assert [attempt.outcome for attempt in _attempts(database, job.id)] == [
        Outcome.RETRIED,
        Outcome.RETRIED,
        Outcome.FAILED,
    ]


def test_a_job_whose_images_are_all_blocked_fails_without_a_price(database: Database) -> None:
    held = factories.running(database, request={"num_images": 2})
    with database.transaction() as session:
        lifecycle.block_job(session, held, factories.images(held, ImageStatus.BLOCKED), SPENT)
    job = factories.read(database, held.job_id)
    assert (job.status, job.error_code, job.error_retryable) == (JobStatus.FAILED, "content_blocked", False)
    (attempt,) = _attempts(database, held.job_id)
    assert attempt.outcome is Outcome.BLOCKED
    with database.reading() as session:
        images = list(session.scalars(select(Image)))
    assert [(image.status, image.amount, image.storage_key) for image in images] == [
        (ImageStatus.BLOCKED, 0, None),
        (ImageStatus.BLOCKED, 0, None),
    ]


def test_a_released_job_gets_its_strike_back_and_keeps_its_attempt_number(database: Database) -> None:
    held = factories.running(database)
    with database.transaction() as session:
        lifecycle.release_job(session, held, SPENT)
    job = factories.read(database, held.job_id)
    assert (job.status, job.attempt, job.strikes, job.press_id) == (JobStatus.QUEUED, 1, 0, None)
    again = factories.claim(database, factories.press(database))
    assert again is not None
    assert (again.job_id, again.attempt, again.strikes) == (held.job_id, 2, 1)
    assert [attempt.outcome for attempt in _attempts(database, held.job_id)] == [Outcome.RELEASED, Outcome.RUNNING]


def test_a_beat_extends_the_lease_books_the_seconds_and_shows_the_progress(database: Database) -> None:
    held = factories.running(database)
    before = factories.read(database, held.job_id)
    with database.transaction() as session:
        clock = {"busy_seconds": 3.0, "cpu_seconds": 1.0, "overhead": {"load": 2.0}}
        kept = lifecycle.record_heartbeat(
            session, held.press_id, [ClaimProgress(held, 3, SPENT)], timedelta(seconds=90), clock
        )
    assert kept == {held.fence}
    after = factories.read(database, held.job_id)
    assert before.lease_until is not None
    assert after.lease_until is not None
    assert after.lease_until > before.lease_until
    assert after.progress_step == 3
    assert _attempts(database, held.job_id)[0].gpu_seconds == 1.5
    with database.reading() as session:
        press = session.get_one(Press, held.press_id)
        assert (press.busy_seconds, press.cpu_seconds, press.overhead) == (3.0, 1.0, {"load": 2.0})


def test_a_beat_without_jobs_is_still_a_heartbeat(database: Database) -> None:
    press = factories.press(database)
    with database.reading() as session:
        before = session.get_one(Press, press).heartbeat_at
    with database.transaction() as session:
        assert lifecycle.record_heartbeat(session, press, [], factories.LEASE, {}) == set()
    with database.reading() as session:
        assert session.get_one(Press, press).heartbeat_at > before


def test_a_beat_leaves_out_the_jobs_that_were_taken_away(database: Database) -> None:
    press = factories.press(database)
    kept, canceled, expired, lost = (factories.running(database, press) for _ in range(4))
    with database.transaction() as session:
        lifecycle.cancel_job(session, session.get_one(Job, canceled.job_id))
    factories.age(database, expired.job_id, "deadline_at", timedelta(seconds=1))
    factories.age(database, lost.job_id, "lease_until", timedelta(seconds=1))
    with database.transaction() as session:
        lifecycle.expire_due_jobs(session)
        lifecycle.requeue_lost_jobs(session, 3)
    with database.transaction() as session:
        holdings = [ClaimProgress(held, 2, SPENT) for held in (kept, canceled, expired, lost)]
        assert lifecycle.record_heartbeat(session, press, holdings, factories.LEASE, {}) == {kept.fence}
    for held in (canceled, expired, lost):
        assert factories.read(database, held.job_id).lease_until is None
        assert _attempts(database, held.job_id)[0].gpu_seconds == 1.5


def test_jobs_past_their_deadline_expire_queued_or_running(database: Database) -> None:
    running = factories.running(database, deadline_seconds=100)
    queued = factories.submit(database, deadline_seconds=100)
    in_time = factories.submit(database, deadline_seconds=100)
    without = factories.submit(database)
    for job_id in (running.job_id, queued.id):
        factories.age(database, job_id, "deadline_at", timedelta(seconds=1))
    with database.transaction() as session:
        assert lifecycle.expire_due_jobs(session) == 2
    for job_id in (running.job_id, queued.id):
        job = factories.read(database, job_id)
        assert (job.status, job.error_code) == (JobStatus.EXPIRED, "deadline_exceeded")
        assert job.finished_at is not None
    assert _attempts(database, running.job_id)[0].outcome is Outcome.EXPIRED
    assert factories.read(database, in_time.id).status is JobStatus.QUEUED
    assert factories.read(database, without.id).status is JobStatus.QUEUED


def test_a_job_past_its_deadline_is_not_claimed_even_before_it_is_swept(database: Database) -> None:
    job = factories.submit(database, deadline_seconds=100)
    factories.age(database, job.id, "deadline_at", timedelta(seconds=1))
    assert factories.claim(database, factories.press(database)) is None
