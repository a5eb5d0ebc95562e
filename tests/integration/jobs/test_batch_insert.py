"""Submissions that wait together are inserted together, as if one after the other; on both databases."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from api.runtime import flat_combining
from api.runtime.batch_insert import BatchInserter, InsertedJob, InsertOutcome, PendingJob
from common.db.engine import Database
from common.db.ids import create_id
from common.errors import BrokerUnavailableError, IdempotencyKeyReusedError, QueueFullError
from common.jobs.idempotency import Reservation, reserve_idempotency_key
from common.jobs.notifier import Notifier
from common.jobs.spec import JobSpec
from common.settings import Settings
from common.tables import IdempotencyKey, Job, WebhookEndpoint
from common.webhooks.signing_secrets import SecretCipher
from tests.support import factories
from tests.support.waiting import until

RACERS = 16
Submission = tuple[JobSpec, Reservation | None]


class BlockedNotifier:
    """Records which jobs were notified together; the first notification blocks until the others may go on."""

    def __init__(self) -> None:
        self.rings: list[list[UUID]] = []
        self.may_go_on = Event()

    def notify(self, _model: str, *job_ids: UUID) -> None:
        self.rings.append([*job_ids])
        assert self.may_go_on.wait(60)

    def count_pending(self, _model: str) -> int:
        return 0


class UnreachableNotifier(BlockedNotifier):
    """A notifier whose broker cannot be reached."""

    def notify(self, _model: str, *job_ids: UUID) -> None:
        self.rings.append([*job_ids])
        raise BrokerUnavailableError


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_combining, "PATIENCE_SECONDS", 60)


@pytest.fixture
def notifier() -> BlockedNotifier:
    return BlockedNotifier()


@pytest.fixture
def open_inserter(database: Database, tmp_path: Path, notifier: BlockedNotifier) -> Callable[..., BatchInserter]:
    """Return an inserter on the database, with settings of its own."""

    def open_with(notifier: Notifier = notifier, **changes: Any) -> BatchInserter:
        return BatchInserter(database, notifier, SecretCipher(b"secret"), Settings(home=tmp_path, **changes))

    return open_with


def build_submission(owner: str = "ada", key: str | None = None, digest: str = "d", **changes: Any) -> Submission:
    """Return a job spec, and the idempotency key that it comes with."""
    order = factories.job_spec(owner, **changes)
    return order, None if key is None else Reservation(owner, key, digest, order.id)


def get_result(outcome: InsertOutcome) -> InsertedJob | UUID:
    """Return the new job, or the ID of the job that an earlier request created."""
    assert outcome.error is None
    return outcome.inserted or outcome.job_id


def submit_together(
    inserter: BatchInserter, notifier: BlockedNotifier, submissions: Sequence[Submission]
) -> list[InsertedJob | UUID | BaseException]:
    """Have all of *submissions* wait while another one is inserted; return the outcome of each."""
    with ThreadPoolExecutor(len(submissions) + 1) as pool:
        before = pool.submit(inserter.submit, *build_submission("zoe"))
        until(lambda: notifier.rings, "a submission that is being inserted")
        futures: list[Future[InsertOutcome]] = []
        for each in submissions:
            futures.append(pool.submit(inserter.submit, *each))
            until(lambda: len(inserter._combiner._waiting) == len(futures), "the waiting submissions")
        notifier.may_go_on.set()
        before.result()
        return [future.exception() or get_result(future.result()) for future in futures]


def count(database: Database, table: Any) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_submissions_of_a_batch_are_notified_together_and_queued_in_order(
    open_inserter: Callable[..., BatchInserter], notifier: BlockedNotifier, database: Database
) -> None:
    submissions = [
        build_submission(owner, request={"num_images": images})
        for owner, images in (("ada", 2), ("bob", 1), ("ada", 1))
    ]
    took = submit_together(open_inserter(), notifier, submissions)
    assert notifier.rings[1] == [order.id for order, _ in submissions]
    made = [each for each in took if isinstance(each, InsertedJob)]
    assert [each.job.id for each in made] == [order.id for order, _ in submissions]
    assert [each.job.fair_tag for each in made] == [0, 0, 2]
    # Zoe's job, whose tag is 0 too, was written last.
    assert [each.queue_position for each in made] == [0, 1, 3]
    assert [factories.read(database, each.job.id).fair_tag for each in made] == [0, 0, 2]


def test_sixteen_simultaneous_submissions_with_one_key_create_one_job(
    open_inserter: Callable[..., BatchInserter], notifier: BlockedNotifier, database: Database
) -> None:
    took = submit_together(open_inserter(), notifier, [build_submission(key="k") for _ in range(RACERS)])
    (made,) = (each for each in took if isinstance(each, InsertedJob))
    assert {each for each in took if each is not made} == {made.job.id}
    assert len(notifier.rings) == 2
    assert notifier.rings[1] == [made.job.id]
    assert (count(database, Job), count(database, IdempotencyKey)) == (2, 1)


def test_one_key_racing_through_two_apis_creates_one_job(
    open_inserter: Callable[..., BatchInserter], notifier: BlockedNotifier, database: Database
) -> None:
    notifier.may_go_on.set()
    inserters, barrier = [open_inserter(), open_inserter()], Barrier(RACERS)

    def race(number: int) -> InsertedJob | UUID:
        barrier.wait(60)
        return get_result(inserters[number % 2].submit(*build_submission(key="k")))

    with ThreadPoolExecutor(RACERS) as pool:
        took = list(pool.map(race, range(RACERS)))
    (made,) = (each for each in took if isinstance(each, InsertedJob))
    assert {each for each in took if each is not made} == {made.job.id}
    assert count(database, Job) == 1


def test_many_keys_in_opposite_order_through_two_apis_create_one_job_each(
    open_inserter: Callable[..., BatchInserter], notifier: BlockedNotifier, database: Database
) -> None:
    notifier.may_go_on.set()
    inserters, barrier = [open_inserter(), open_inserter()], Barrier(RACERS)

    def race(number: int) -> InsertedJob | UUID:
        barrier.wait(60)
        place = number // 2
        return get_result(inserters[number % 2].submit(*build_submission(key=f"k{place if number % 2 else 7 - place}")))

    with ThreadPoolExecutor(RACERS) as pool:
        took = list(pool.map(race, range(RACERS)))
    assert sum(isinstance(each, InsertedJob) for each in took) == RACERS // 2
    assert count(database, Job) == RACERS // 2


def test_a_reused_key_is_refused_without_failing_the_rest_of_its_batch(
    open_inserter: Callable[..., BatchInserter], notifier: BlockedNotifier
) -> None:
    took = submit_together(
        open_inserter(),
        notifier,
        [
            build_submission(key="k"),
            build_submission(key="k", digest="other"),
            build_submission(key="l"),
            build_submission(),
        ],
    )
    assert [type(each) for each in took] == [InsertedJob, IdempotencyKeyReusedError, InsertedJob, InsertedJob]
    assert len(notifier.rings[1]) == 3


def test_a_known_key_within_a_batch_returns_the_earlier_job(
    open_inserter: Callable[..., BatchInserter], notifier: BlockedNotifier
) -> None:
    inserter, (order, reservation) = open_inserter(), build_submission(key="k")
    (made,) = open_inserter(UnreachableNotifier()).submit_all([PendingJob(order, reservation)])
    assert made.inserted is not None
    took = submit_together(
        inserter, notifier, [build_submission(key="k"), build_submission(), build_submission(key="k", digest="other")]
    )
    assert took[0] == order.id
    assert [type(each) for each in took[1:]] == [InsertedJob, IdempotencyKeyReusedError]


def test_keys_of_submissions_refused_by_a_full_queue_within_a_batch_stay_free(
    open_inserter: Callable[..., BatchInserter], notifier: BlockedNotifier, database: Database
) -> None:
    submissions = [
        build_submission(key="a"),
        build_submission("bob"),
        build_submission(key="b"),
        build_submission(key="c"),
        build_submission(key="c"),
        build_submission(key="a"),
    ]
    took = submit_together(open_inserter(max_queued_jobs=2), notifier, submissions)
    assert [type(each) for each in took] == [
        InsertedJob,
        InsertedJob,
        InsertedJob,
        QueueFullError,
        QueueFullError,
        UUID,
    ]
    with database.reading() as session:
        assert sorted(session.scalars(select(IdempotencyKey.key))) == ["a", "b"]
    assert count(database, Job) == 4


def test_a_submission_that_the_database_refuses_does_not_fail_its_batch(
    open_inserter: Callable[..., BatchInserter], notifier: BlockedNotifier, database: Database
) -> None:
    took = submit_together(
        open_inserter(),
        notifier,
        [build_submission(key="a"), build_submission(key="b", retry_of=create_id()), build_submission()],
    )
    assert [type(each) for each in took] == [InsertedJob, IntegrityError, InsertedJob]
    assert count(database, Job) == 3
    assert sorted(map(len, notifier.rings)) == [1, 1, 1]
    with database.reading() as session:
        assert session.scalars(select(IdempotencyKey.key)).all() == ["a"]


def test_each_owner_who_names_receivers_gets_one_direct_endpoint(
    open_inserter: Callable[..., BatchInserter], notifier: BlockedNotifier, database: Database
) -> None:
    submissions = [build_submission(owner, webhook_url="https://hook.example/") for owner in ("bob", "ada", "bob")]
    took = submit_together(open_inserter(), notifier, [*submissions, build_submission("eve")])
    assert {type(each) for each in took} == {InsertedJob}
    with database.reading() as session:
        assert sorted(session.scalars(select(WebhookEndpoint.owner))) == ["ada", "bob"]


def test_jobs_are_accepted_while_notifications_fail(
    open_inserter: Callable[..., BatchInserter], database: Database
) -> None:
    notifier = UnreachableNotifier()
    took = open_inserter(notifier).submit_all([PendingJob(*build_submission()), PendingJob(*build_submission("bob"))])
    assert all(each.inserted for each in took)
    assert [len(ring) for ring in notifier.rings] == [2]
    assert count(database, Job) == 2


def test_a_key_locked_elsewhere_does_not_delay_other_submissions(
    postgresql_url: str, tmp_path: Path, notifier: BlockedNotifier
) -> None:
    ours, elsewhere = Database(postgresql_url), Database(postgresql_url)
    inserter = BatchInserter(ours, notifier, SecretCipher(b"secret"), Settings(home=tmp_path))
    with ThreadPoolExecutor(4) as pool, elsewhere.transaction() as session:
        reserve_idempotency_key(session, Reservation("ada", "k", "d", create_id()), 24)
        before = pool.submit(inserter.submit, *build_submission("zoe"))
        until(lambda: notifier.rings, "a submission that is being inserted")
        contested = pool.submit(inserter.submit, *build_submission(key="k"))
        company = [pool.submit(inserter.submit, *build_submission(key=key)) for key in "ab"]
        until(lambda: len(inserter._combiner._waiting) == 3, "the waiting submissions")
        notifier.may_go_on.set()
        for each in (before, *company):
            assert each.result(60).inserted
        assert not contested.done(), "it waits, alone, for as long as the database lets it"
        session.rollback()
        assert contested.result(60).inserted
    ours.close()
    elsewhere.close()
