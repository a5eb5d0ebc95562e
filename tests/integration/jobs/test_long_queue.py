"""A long queue costs no more than a short one: what is claimed, submitted and sought in it reads a few rows."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text, update

from common.db.clock import StatementTime
from common.db.engine import Database
from common.jobs import dispatch, fair_queue, lifecycle
from common.jobs.notifier import RecordingNotifier
from common.states.jobs import Priority
from common.tables import Job, Model
from tests.support import factories, plans

QUEUED = 3000
OWNERS = 10
MODELS = [f"model-{number}" for number in range(5)]
A_FEW = 60
LANES = [factories.image_request(model=model, width=64 + 8 * width).lane for model in MODELS for width in range(4)]
MISSING_LANES = [factories.image_request(model=model, width=640).lane for model in MODELS]


@pytest.fixture
def long_queue(database: Database) -> Database:
    """A database with thousands of queued jobs, of all models, in both priorities, with and without a deadline."""
    specs = [
        factories.job_spec(
            f"owner-{number % OWNERS}",
            request={"model": MODELS[number % 5], "width": 64 + 8 * (number // 5 % 4)},
            priority=[*Priority][number // 20 % 2],
            deadline_seconds=3600 if number % 7 == 0 else None,
        )
        for number in range(QUEUED)
    ]
    with database.transaction() as session:
        lifecycle.submit_jobs(session, specs, QUEUED)
    plans.analyze(database)
    return database


def _assert_reads_few(database: Database, act: Callable[[], object], most: int = A_FEW) -> None:
    with plans.recording(database) as statements:
        act()
    assert statements
    if database.is_sqlite:
        assert plans.list_scans(database, statements, "jobs") == []
    else:
        assert plans.count_rows_read(database, statements, "jobs", as_if_large=True) <= most


@pytest.mark.parametrize("models", [1, 2, 5])
@pytest.mark.parametrize("lanes", [[], LANES, MISSING_LANES], ids=["cold", "warm", "warm-without-jobs"])
def test_a_claim_reads_a_few_rows_of_a_long_queue(long_queue: Database, models: int, lanes: list[str]) -> None:
    press = factories.press(long_queue)
    _assert_reads_few(long_queue, lambda: factories.claim(long_queue, press, models=MODELS[:models], warm_lanes=lanes))


def test_a_claim_among_jobs_that_are_not_due_yet_reads_a_few_rows(long_queue: Database) -> None:
    with long_queue.transaction() as session:
        factories.lift_guards(session)
        tomorrow = StatementTime(timedelta(days=1))
        session.execute(update(Job).where(Job.fair_tag < QUEUED / OWNERS / 3).values(due_at=tomorrow))
    plans.analyze(long_queue)
    press = factories.press(long_queue)
    _assert_reads_few(long_queue, lambda: factories.claim(long_queue, press, models=MODELS))


@pytest.mark.parametrize("owner", ["owner-of-none", "owner-of-one"])
@pytest.mark.parametrize("priority", Priority)
def test_a_submission_reads_a_few_rows_and_as_many_as_it_counts_ahead(
    long_queue: Database, owner: str, priority: Priority
) -> None:
    factories.submit(long_queue, "owner-of-one", priority=priority)

    def submit() -> None:
        with long_queue.transaction() as session:
            spec = factories.job_spec(owner, request={"model": MODELS[1]}, priority=priority)
            made = lifecycle.submit_jobs(session, [spec], QUEUED)
            fair_queue.count_jobs_ahead_of_each(session, made.values())

    _assert_reads_few(long_queue, submit, fair_queue.FARTHEST + A_FEW)


def test_sweeps_and_the_top_up_read_a_few_rows_of_a_long_queue(long_queue: Database) -> None:
    with long_queue.transaction() as session:
        session.add_all(Model(name=name, card={}) for name in MODELS)
    with pytest.warns(UserWarning, match="for tests"):
        notifier = RecordingNotifier()

    def sweep() -> None:
        with long_queue.transaction() as session:
            lifecycle.expire_due_jobs(session)
            lifecycle.requeue_lost_jobs(session, 3)
        dispatch.notify_due_jobs(long_queue, notifier)

    _assert_reads_few(long_queue, sweep, len(MODELS) * dispatch.WINDOW + A_FEW)


@contextmanager
def _claiming(url: Any, models: list[str]) -> Iterator[UUID | None]:
    """Claim as a press does that has not committed yet; yield the job."""
    database = Database(url)
    try:
        with database.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '1s'"))
            yield fair_queue.choose_job(session, models, (), tuple(Priority))
    finally:
        database.close()


def test_presses_that_claim_at_once_get_the_jobs_of_several_models_in_the_fair_order(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    jobs = [
        factories.submit(database, owner, request={"model": model}).id
        for owner, model in zip("abcdef", [*MODELS[:3]] * 2, strict=True)
    ]
    with ExitStack() as presses:
        claimed = [presses.enter_context(_claiming(postgresql_url, MODELS[:3])) for _ in jobs]
        assert claimed == sorted(jobs)
        assert presses.enter_context(_claiming(postgresql_url, MODELS)) is None
    database.close()
