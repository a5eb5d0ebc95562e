"""Many at once, on both databases: one winner each, no deadlock, nothing half done."""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from threading import Barrier
from uuid import UUID

from sqlalchemy import func, select

from common.db.engine import Database
from common.errors import FencedError, IllegalTransitionError
from common.jobs import lifecycle
from common.jobs.attempts import Claim, ClaimProgress, Spent
from common.states.jobs import JobStatus, Outcome
from common.tables import Attempt, Image, Job
from tests.support import factories

RACERS = 16


def _race(tasks: list[Callable[[], object]]) -> list[object]:
    """Run *tasks* at the same moment and return what each returned or raised of ours."""
    barrier = Barrier(len(tasks))

    def run(task: Callable[[], object]) -> object:
        barrier.wait(30)
        try:
            return task()
        except (FencedError, IllegalTransitionError) as error:
            return type(error)

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def test_640_claims_on_40_jobs_make_exactly_40_wins(database: Database) -> None:
    queued = {factories.submit(database).id for _ in range(40)}
    presses = [factories.press(database) for _ in range(RACERS)]

    won: list[Claim] = []

    def claim_40_times(press: UUID) -> None:
        for _ in range(40):
            held = factories.claim(database, press)
            if held is not None:
                won.append(held)

    _race([partial(claim_40_times, press) for press in presses])
    # A press that found every due row locked by others went away empty-handed; the next notifier gets those.
    while (held := factories.claim(database, presses[0])) is not None:
        won.append(held)
    assert len(won) == 40
    assert {held.job_id for held in won} == queued
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Attempt)) == 40
        assert set(session.scalars(select(Job.attempt))) == {1}


def test_cancel_and_success_race_and_exactly_one_wins(database: Database) -> None:
    press = factories.press(database)
    wins: Counter[JobStatus] = Counter()
    for _ in range(40):
        held = factories.running(database, press)

        def cancel(held: Claim = held) -> None:
            with database.transaction() as session:
                lifecycle.cancel_job(session, session.get_one(Job, held.job_id))

        def succeed(held: Claim = held) -> None:
            with database.transaction() as session:
                lifecycle.succeed_job(session, held, factories.images(held), Spent(1.0))

        answers = _race([cancel, succeed])
        job = factories.read(database, held.job_id)
        expected = {
            JobStatus.CANCELED: [None, FencedError],
            JobStatus.SUCCEEDED: [IllegalTransitionError, None],
        }
        assert answers == expected[job.status]
        with database.reading() as session:
            images = session.scalar(select(func.count()).select_from(Image).where(Image.job_id == held.job_id))
            outcome = session.scalar(select(Attempt.outcome).where(Attempt.job_id == held.job_id))
        assert images == (1 if job.status is JobStatus.SUCCEEDED else 0)
        assert outcome == Outcome(job.status.value)
        wins[job.status] += 1
    assert wins.total() == 40


def test_the_sweep_and_a_late_success_race_and_exactly_one_wins(database: Database) -> None:
    press = factories.press(database)
    for _ in range(40):
        held = factories.running(database, press)
        factories.age(database, held.job_id, "lease_until", timedelta(seconds=1))

        def sweep() -> int:
            with database.transaction() as session:
                return lifecycle.requeue_lost_jobs(session, 3)[0]

        def succeed(held: Claim = held) -> None:
            with database.transaction() as session:
                lifecycle.succeed_job(session, held, factories.images(held), Spent(1.0))

        answers = _race([sweep, sweep, succeed])
        job = factories.read(database, held.job_id)
        if job.status is JobStatus.SUCCEEDED:
            assert answers == [0, 0, None]
        else:
            assert job.status is JobStatus.QUEUED
            assert sorted(answers[:2]) == [0, 1]  # type: ignore[type-var]  # numbers
            assert answers[2] is FencedError
            with database.transaction() as session:
                lifecycle.cancel_job(session, session.get_one(Job, job.id))


ROUNDS = 12


def _beat(database: Database, press: UUID, claims: list[Claim]) -> None:
    for number in range(ROUNDS):
        holdings = [ClaimProgress(claim, number, Spent(number)) for claim in random.sample(claims, len(claims))]
        with database.transaction() as session:
            lifecycle.record_heartbeat(session, press, holdings, timedelta(seconds=0.05), {})


def _sweep(database: Database) -> None:
    for _ in range(ROUNDS):
        with database.transaction() as session:
            lifecycle.requeue_lost_jobs(session, 99)
        with database.transaction() as session:
            lifecycle.expire_due_jobs(session)


def _cancel(database: Database, claims: list[Claim]) -> None:
    for claim in claims:
        with suppress(IllegalTransitionError), database.transaction() as session:
            lifecycle.cancel_job(session, session.get_one(Job, claim.job_id))


def _succeed(database: Database, claims: list[Claim]) -> None:
    for claim in claims:
        with suppress(FencedError), database.transaction() as session:
            lifecycle.succeed_job(session, claim, factories.images(claim), Spent(1.0))


def test_heartbeats_sweeps_cancels_and_completions_do_not_deadlock(database: Database) -> None:
    """All that writes to running jobs goes on at once; a deadlock would be a DatabaseUnavailableError."""
    presses = [factories.press(database) for _ in range(3)]
    held = {press: [factories.running(database, press) for _ in range(12)] for press in presses}
    everything = [claim for claims in held.values() for claim in claims]
    for claim in everything[::3]:
        factories.age(database, claim.job_id, "deadline_at", timedelta(seconds=-0.2))

    _race(
        [
            *(partial(_beat, database, press, claims) for press, claims in held.items()),
            partial(_sweep, database),
            partial(_sweep, database),
            partial(_cancel, database, everything[1::3]),
            partial(_succeed, database, everything[2::3]),
        ]
    )

    with database.reading() as session:
        published = session.scalar(select(func.count()).select_from(Image))
        succeeded = session.scalar(select(func.count()).select_from(Job).where(Job.status == JobStatus.SUCCEEDED))
        open_attempts = set(session.scalars(select(Attempt.job_id).where(Attempt.outcome == Outcome.RUNNING)))
        running = set(session.scalars(select(Job.id).where(Job.status == JobStatus.RUNNING)))
    assert published == succeeded
    assert open_attempts == running
