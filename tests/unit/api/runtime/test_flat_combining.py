"""Flat combining: waiting items are processed in one batch, and each gets its own result or error."""

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from api.runtime import flat_combining
from api.runtime.flat_combining import FlatCombiner
from common.errors import DatabaseBusyError, DatabaseUnavailableError
from tests.support.waiting import until


class SlowBatch:
    """Multiplies numbers by ten; the first batch blocks until it may go on, and the items in ``bad`` fail."""

    def __init__(self, fault: Exception | None = None, bad: Sequence[int] = ()) -> None:
        self.fault = fault
        self.bad = bad
        self.groups: list[list[int]] = []
        self.may_go_on = Event()
        self.combiner = FlatCombiner(self.act)

    def act(self, items: Sequence[int]) -> list[int]:
        self.groups.append([*items])
        if len(self.groups) == 1:
            assert self.may_go_on.wait(60)
        if self.fault is not None and set(self.bad) & set(items):
            raise self.fault
        return [10 * item for item in items]

    def submit_while_busy(self, pool: ThreadPoolExecutor, items: Sequence[int]) -> list["Future[int]"]:
        """Submit 0, and while that is processed the *items*, one after the other; then let it go on."""
        asked = []
        for waiting, item in enumerate([0, *items]):
            asked.append(pool.submit(self.combiner.run, item))
            until(lambda: self.groups, "a running batch")
            until(lambda: len(self.combiner._waiting) == waiting, "the waiting items")  # noqa: B023
        self.may_go_on.set()
        return asked


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as opened:
        yield opened


@pytest.fixture
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_combining, "PATIENCE_SECONDS", 60)


def test_an_item_is_processed_at_once_when_nothing_is_running() -> None:
    batch = SlowBatch()
    batch.may_go_on.set()
    assert [batch.combiner.run(item) for item in (1, 2)] == [10, 20]
    assert batch.groups == [[1], [2]]


@pytest.mark.usefixtures("_patience")
def test_waiting_items_are_processed_together_in_their_order(pool: ThreadPoolExecutor) -> None:
    batch = SlowBatch()
    asked = batch.submit_while_busy(pool, [3, 1, 2])
    assert [each.result() for each in asked] == [0, 30, 10, 20]
    assert batch.groups == [[0], [3, 1, 2]]


@pytest.mark.usefixtures("_patience")
@pytest.mark.parametrize("fault", [ValueError("bad"), DatabaseBusyError()])
def test_an_error_of_one_item_does_not_fail_its_batch(pool: ThreadPoolExecutor, fault: Exception) -> None:
    batch = SlowBatch(fault, bad=[2])
    asked = batch.submit_while_busy(pool, [1, 2, 3])
    assert [asked[place].result() for place in (0, 1, 3)] == [0, 10, 30]
    assert asked[2].exception() is fault
    assert batch.groups[:2] == [[0], [1, 2, 3]]
    assert sorted(batch.groups[2:]) == [[1], [2], [3]]


@pytest.mark.usefixtures("_patience")
def test_an_unavailable_database_fails_the_whole_batch_without_a_retry(pool: ThreadPoolExecutor) -> None:
    batch = SlowBatch(DatabaseUnavailableError(), bad=[2])
    asked = batch.submit_while_busy(pool, [1, 2, 3])
    assert [each.exception() for each in asked] == [None, *[batch.fault] * 3]
    assert batch.groups == [[0], [1, 2, 3]]


@pytest.mark.usefixtures("_patience")
def test_items_are_processed_after_a_single_item_failed(pool: ThreadPoolExecutor) -> None:
    batch = SlowBatch(ValueError("bad"), bad=[0])
    asked = batch.submit_while_busy(pool, [1])
    assert asked[0].exception() is batch.fault
    assert asked[1].result() == 10
    assert batch.groups == [[0], [1]]


def test_a_stuck_batch_does_not_hold_up_other_items(pool: ThreadPoolExecutor) -> None:
    batch = SlowBatch()
    stuck = pool.submit(batch.combiner.run, 0)
    until(lambda: batch.groups, "a running batch")
    assert [each.result(60) for each in [pool.submit(batch.combiner.run, item) for item in (1, 2)]] == [10, 20]
    assert not stuck.done()
    batch.may_go_on.set()
    assert stuck.result(60) == 0
    assert batch.combiner.run(3) == 30


def test_every_item_gets_its_own_result_however_short_the_patience(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flat_combining, "PATIENCE_SECONDS", 0.0005)
    chance = random.Random(1)

    def act(items: Sequence[int]) -> list[int]:
        assert items
        time.sleep(chance.random() * 0.001)
        if chance.random() < 0.1:
            raise DatabaseBusyError
        return [10 * item for item in items]

    tried = FlatCombiner(act)

    def ask(item: int) -> int:
        try:
            return tried.run(item)
        except DatabaseBusyError:
            return ask(item)

    assert list(pool.map(ask, range(2000))) == [10 * item for item in range(2000)]
    assert (tried._waiting, tried._leaders) == ([], 0)
