"""Two that want the same job at the same moment, dozens of times, on both databases: exactly one has it."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import func, select

from common.db.engine import Database
from common.errors import FencedError, IllegalTransitionError
from common.jobs import lifecycle
from common.jobs.attempts import Claim, Spent
from common.states.jobs import JobStatus, Outcome
from common.tables import Attempt, Image, Job
from tests.support import factories

ROUNDS = 40

Task = Callable[[], object]
Race = Callable[[Task, Task], list[object]]


@pytest.fixture
def race() -> Iterator[Race]:
    """Run two tasks at the same moment; return what each returned, or which of our errors it raised."""
    barrier = Barrier(2)

    def run(task: Task) -> object:
        barrier.wait(60)
        try:
            return task()
        except (FencedError, IllegalTransitionError) as error:
            return type(error)

    with ThreadPoolExecutor(2) as pool:
        yield lambda *tasks: list(pool.map(run, tasks))


def _cancel(database: Database, held: Claim | Job) -> None:
    job_id = held.job_id if isinstance(held, Claim) else held.id
    with database.transaction() as session:
        lifecycle.cancel_job(session, session.get_one(Job, job_id))


def _succeed(database: Database, held: Claim) -> None:
    with database.transaction() as session:
        lifecycle.succeed_job(session, held, factories.images(held), Spent(1.0))


def _sweep(database: Database) -> int:
    with database.transaction() as session:
        return sum(lifecycle.requeue_lost_jobs(session, factories.MAX_STRIKES))


def _facts(database: Database, held: Claim) -> tuple[JobStatus, Outcome, int]:
    """Return a job's status, the outcome of this attempt at it, and how many images it has."""
    with database.reading() as session:
        status = session.get_one(Job, held.job_id).status
        outcome = session.get_one(Attempt, (held.job_id, held.attempt)).outcome
        images = session.scalar(select(func.count()).select_from(Image).where(Image.job_id == held.job_id))
    return status, outcome, images or 0


def test_f53_a_cancel_that_races_with_a_commit_has_exactly_one_winner(database: Database, race: Race) -> None:
    press, seen = factories.press(database), Counter[JobStatus]()
    for _ in range(ROUNDS):
        held = factories.running(database, press)
        answers = race(lambda held=held: _cancel(database, held), lambda held=held: _succeed(database, held))
        status, outcome, images = _facts(database, held)
        if status is JobStatus.CANCELED:
            assert (answers, outcome, images) == ([None, FencedError], Outcome.CANCELED, 0)
        else:
            assert (answers, outcome, images) == ([IllegalTransitionError, None], Outcome.SUCCEEDED, 1)
        seen[status] += 1
    assert seen.total() == ROUNDS


def test_f53_a_job_that_is_canceled_while_it_is_claimed_is_canceled(database: Database, race: Race) -> None:
    press = factories.press(database)
    for _ in range(ROUNDS):
        job = factories.submit(database)
        canceled, held = race(lambda job=job: _cancel(database, job), lambda: factories.claim(database, press))
        assert canceled is None, "whoever claims first, a job in hand can be canceled too"
        assert factories.read(database, job.id).status is JobStatus.CANCELED
        if isinstance(held, Claim):
            assert _facts(database, held) == (JobStatus.CANCELED, Outcome.CANCELED, 0)
            with pytest.raises(FencedError):
                _succeed(database, held)


def test_f57_a_lease_that_runs_out_while_its_job_is_committed_is_kept_or_lost(database: Database, race: Race) -> None:
    press = factories.press(database)
    for _ in range(ROUNDS):
        held = factories.running(database, press)
        factories.age(database, held.job_id, "lease_until", timedelta(seconds=1))
        swept, committed = race(lambda: _sweep(database), lambda held=held: _succeed(database, held))
        status, outcome, images = _facts(database, held)
        if status is JobStatus.SUCCEEDED:
            assert (swept, committed, outcome, images) == (0, None, Outcome.SUCCEEDED, 1)
        else:
            assert (swept, committed, outcome, images) == (1, FencedError, Outcome.LOST, 0)
            assert status is JobStatus.QUEUED
            _cancel(database, held)
