"""Orders that wait together are taken together, and come out as if one after the other; on both databases."""

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
from common.errors import BrokerUnavailableError, IdempotencyKeyReusedError, QueueFullError
from common.ids import create_id
from common.jobs.idempotency import Reservation, reserve_idempotency_key
from common.jobs.notifier import Notifier
from common.jobs.spec import JobSpec
from common.settings import Settings
from common.tables import IdempotencyKey, Job, WebhookEndpoint
from common.webhooks.signing_secrets import SecretCipher
from tests.support import factories
from tests.support.waiting import until

RACERS = 16
Asked = tuple[JobSpec, Reservation | None]


class HeldBell:
    """Remembers who rang together; the first one is kept until the others may go on."""

    def __init__(self) -> None:
        self.rings: list[list[UUID]] = []
        self.may_go_on = Event()

    def ring(self, _model: str, *job_ids: UUID) -> None:
        self.rings.append([*job_ids])
        assert self.may_go_on.wait(60)

    def waiting(self, _model: str) -> int:
        return 0


class DeadBell(HeldBell):
    """A bell that nobody can ring."""

    def ring(self, _model: str, *job_ids: UUID) -> None:
        self.rings.append([*job_ids])
        raise BrokerUnavailableError


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_combining, "PATIENCE_SECONDS", 60)


@pytest.fixture
def bell() -> HeldBell:
    return HeldBell()


@pytest.fixture
def open_intake(database: Database, tmp_path: Path, bell: HeldBell) -> Callable[..., BatchInserter]:
    """Return an intake on the database, with settings of its own."""

    def open_with(bell: Notifier = bell, **changes: Any) -> BatchInserter:
        return BatchInserter(database, bell, SecretCipher(b"secret"), Settings(home=tmp_path, **changes))

    return open_with


def ask(owner: str = "ada", key: str | None = None, digest: str = "d", **changes: Any) -> Asked:
    """Return an order, and the key that it comes with."""
    order = factories.order(owner, **changes)
    return order, None if key is None else Reservation(owner, key, digest, order.id)


def get_result(outcome: InsertOutcome) -> InsertedJob | UUID:
    """Return the new job, or the ID of the job that an earlier request created."""
    assert outcome.error is None
    return outcome.inserted or outcome.job_id


def take_together(
    intake: BatchInserter, bell: HeldBell, asked: Sequence[Asked]
) -> list[InsertedJob | UUID | BaseException]:
    """Have all of *asked* wait while another order is seen to; return what became of each."""
    with ThreadPoolExecutor(len(asked) + 1) as pool:
        before = pool.submit(intake.take, *ask("zoe"))
        until(lambda: bell.rings, "an order that is seen to")
        futures: list[Future[InsertOutcome]] = []
        for each in asked:
            futures.append(pool.submit(intake.take, *each))
            until(lambda: len(intake._combiner._waiting) == len(futures), "those who wait")
        bell.may_go_on.set()
        before.result()
        return [future.exception() or get_result(future.result()) for future in futures]


def count(database: Database, table: Any) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_orders_that_wait_are_rung_for_together_and_stand_in_line(
    open_intake: Callable[..., BatchInserter], bell: HeldBell, database: Database
) -> None:
    asked = [ask(owner, request={"num_images": images}) for owner, images in (("ada", 2), ("bob", 1), ("ada", 1))]
    took = take_together(open_intake(), bell, asked)
    assert bell.rings[1] == [order.id for order, _ in asked]
    made = [each for each in took if isinstance(each, InsertedJob)]
    assert [each.job.id for each in made] == [order.id for order, _ in asked]
    assert [each.job.fair_tag for each in made] == [0, 0, 2]
    # The order of zoe, whose tag is 0 too, was written last.
    assert [each.queue_position for each in made] == [0, 1, 3]
    assert [factories.read(database, each.job.id).fair_tag for each in made] == [0, 0, 2]


def test_one_key_that_comes_sixteen_times_at_once_makes_one_job(
    open_intake: Callable[..., BatchInserter], bell: HeldBell, database: Database
) -> None:
    took = take_together(open_intake(), bell, [ask(key="k") for _ in range(RACERS)])
    (made,) = (each for each in took if isinstance(each, InsertedJob))
    assert {each for each in took if each is not made} == {made.job.id}
    assert len(bell.rings) == 2
    assert bell.rings[1] == [made.job.id]
    assert (count(database, Job), count(database, IdempotencyKey)) == (2, 1)


def test_one_key_that_races_through_two_apis_makes_one_job(
    open_intake: Callable[..., BatchInserter], bell: HeldBell, database: Database
) -> None:
    bell.may_go_on.set()
    intakes, barrier = [open_intake(), open_intake()], Barrier(RACERS)

    def race(number: int) -> InsertedJob | UUID:
        barrier.wait(60)
        return get_result(intakes[number % 2].take(*ask(key="k")))

    with ThreadPoolExecutor(RACERS) as pool:
        took = list(pool.map(race, range(RACERS)))
    (made,) = (each for each in took if isinstance(each, InsertedJob))
    assert {each for each in took if each is not made} == {made.job.id}
    assert count(database, Job) == 1


def test_many_keys_in_opposite_orders_through_two_apis_make_one_job_each(
    open_intake: Callable[..., BatchInserter], bell: HeldBell, database: Database
) -> None:
    bell.may_go_on.set()
    intakes, barrier = [open_intake(), open_intake()], Barrier(RACERS)

    def race(number: int) -> InsertedJob | UUID:
        barrier.wait(60)
        place = number // 2
        return get_result(intakes[number % 2].take(*ask(key=f"k{place if number % 2 else 7 - place}")))

    with ThreadPoolExecutor(RACERS) as pool:
        took = list(pool.map(race, range(RACERS)))
    assert sum(isinstance(each, InsertedJob) for each in took) == RACERS // 2
    assert count(database, Job) == RACERS // 2


def test_a_key_of_another_request_is_refused_and_its_company_is_not(
    open_intake: Callable[..., BatchInserter], bell: HeldBell
) -> None:
    took = take_together(open_intake(), bell, [ask(key="k"), ask(key="k", digest="other"), ask(key="l"), ask()])
    assert [type(each) for each in took] == [InsertedJob, IdempotencyKeyReusedError, InsertedJob, InsertedJob]
    assert len(bell.rings[1]) == 3


def test_a_key_that_was_used_before_is_answered_in_company(
    open_intake: Callable[..., BatchInserter], bell: HeldBell
) -> None:
    intake, (order, reservation) = open_intake(), ask(key="k")
    (made,) = open_intake(DeadBell()).take_all([PendingJob(order, reservation)])
    assert made.inserted is not None
    took = take_together(intake, bell, [ask(key="k"), ask(), ask(key="k", digest="other")])
    assert took[0] == order.id
    assert [type(each) for each in took[1:]] == [InsertedJob, IdempotencyKeyReusedError]


def test_the_queue_fills_up_in_the_middle_of_company_and_keys_of_the_refused_stay_free(
    open_intake: Callable[..., BatchInserter], bell: HeldBell, database: Database
) -> None:
    asked = [ask(key="a"), ask("bob"), ask(key="b"), ask(key="c"), ask(key="c"), ask(key="a")]
    took = take_together(open_intake(max_queued_jobs=2), bell, asked)
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


def test_an_order_that_the_database_refuses_does_not_hurt_its_company(
    open_intake: Callable[..., BatchInserter], bell: HeldBell, database: Database
) -> None:
    took = take_together(open_intake(), bell, [ask(key="a"), ask(key="b", retry_of=create_id()), ask()])
    assert [type(each) for each in took] == [InsertedJob, IntegrityError, InsertedJob]
    assert count(database, Job) == 3
    assert sorted(map(len, bell.rings)) == [1, 1, 1]
    with database.reading() as session:
        assert session.scalars(select(IdempotencyKey.key)).all() == ["a"]


def test_whoever_names_a_receiver_is_seen_to_once(
    open_intake: Callable[..., BatchInserter], bell: HeldBell, database: Database
) -> None:
    asked = [ask(owner, webhook_url="https://hook.example/") for owner in ("bob", "ada", "bob")]
    took = take_together(open_intake(), bell, [*asked, ask("eve")])
    assert {type(each) for each in took} == {InsertedJob}
    with database.reading() as session:
        assert sorted(session.scalars(select(WebhookEndpoint.owner))) == ["ada", "bob"]


def test_orders_are_taken_though_nobody_can_ring(open_intake: Callable[..., BatchInserter], database: Database) -> None:
    bell = DeadBell()
    took = open_intake(bell).take_all([PendingJob(*ask()), PendingJob(*ask("bob"))])
    assert all(each.inserted for each in took)
    assert [len(ring) for ring in bell.rings] == [2]
    assert count(database, Job) == 2


def test_a_key_in_use_elsewhere_keeps_nobody_else_waiting(postgresql_url: str, tmp_path: Path, bell: HeldBell) -> None:
    ours, elsewhere = Database(postgresql_url), Database(postgresql_url)
    intake = BatchInserter(ours, bell, SecretCipher(b"secret"), Settings(home=tmp_path))
    with ThreadPoolExecutor(4) as pool, elsewhere.transaction() as session:
        reserve_idempotency_key(session, Reservation("ada", "k", "d", create_id()), 24)
        before = pool.submit(intake.take, *ask("zoe"))
        until(lambda: bell.rings, "an order that is seen to")
        contested = pool.submit(intake.take, *ask(key="k"))
        company = [pool.submit(intake.take, *ask(key=key)) for key in "ab"]
        until(lambda: len(intake._combiner._waiting) == 3, "those who wait")
        bell.may_go_on.set()
        for each in (before, *company):
            assert each.result(60).inserted
        assert not contested.done(), "it waits, alone, for as long as the database lets it"
        session.rollback()
        assert contested.result(60).inserted
    ours.close()
    elsewhere.close()
