"""Many ask, one does it for all who wait: everybody gets its own answer, and nobody pays for another."""

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


class Desk:
    """Answers numbers with their tens; the first time, not before it may go on. What it cannot do is listed."""

    def __init__(self, fault: Exception | None = None, bad: Sequence[int] = ()) -> None:
        self.fault = fault
        self.bad = bad
        self.groups: list[list[int]] = []
        self.may_go_on = Event()
        self.combiner = FlatCombiner(self.act)

    def act(self, wishes: Sequence[int]) -> list[int]:
        self.groups.append([*wishes])
        if len(self.groups) == 1:
            assert self.may_go_on.wait(60)
        if self.fault is not None and set(self.bad) & set(wishes):
            raise self.fault
        return [10 * wish for wish in wishes]

    def ask_while_busy(self, pool: ThreadPoolExecutor, wishes: Sequence[int]) -> list["Future[int]"]:
        """Have 0 asked, and while that goes on the *wishes*, one after the other; then let it go on."""
        asked = []
        for waiting, wish in enumerate([0, *wishes]):
            asked.append(pool.submit(self.combiner.run, wish))
            until(lambda: self.groups, "somebody at it")
            until(lambda: len(self.combiner._waiting) == waiting, "those who wait")  # noqa: B023
        self.may_go_on.set()
        return asked


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as opened:
        yield opened


@pytest.fixture
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_combining, "PATIENCE_SECONDS", 60)


def test_who_finds_nobody_at_it_begins_at_once() -> None:
    desk = Desk()
    desk.may_go_on.set()
    assert [desk.combiner.run(wish) for wish in (1, 2)] == [10, 20]
    assert desk.groups == [[1], [2]]


@pytest.mark.usefixtures("_patience")
def test_those_who_wait_are_served_together_in_their_order(pool: ThreadPoolExecutor) -> None:
    desk = Desk()
    asked = desk.ask_while_busy(pool, [3, 1, 2])
    assert [each.result() for each in asked] == [0, 30, 10, 20]
    assert desk.groups == [[0], [3, 1, 2]]


@pytest.mark.usefixtures("_patience")
@pytest.mark.parametrize("fault", [ValueError("bad"), DatabaseBusyError()])
def test_the_fault_of_one_is_not_that_of_its_company(pool: ThreadPoolExecutor, fault: Exception) -> None:
    desk = Desk(fault, bad=[2])
    asked = desk.ask_while_busy(pool, [1, 2, 3])
    assert [asked[place].result() for place in (0, 1, 3)] == [0, 10, 30]
    assert asked[2].exception() is fault
    assert desk.groups[:2] == [[0], [1, 2, 3]]
    assert sorted(desk.groups[2:]) == [[1], [2], [3]]


@pytest.mark.usefixtures("_patience")
def test_a_database_that_is_away_is_away_for_all_and_not_asked_again(pool: ThreadPoolExecutor) -> None:
    desk = Desk(DatabaseUnavailableError(), bad=[2])
    asked = desk.ask_while_busy(pool, [1, 2, 3])
    assert [each.exception() for each in asked] == [None, *[desk.fault] * 3]
    assert desk.groups == [[0], [1, 2, 3]]


@pytest.mark.usefixtures("_patience")
def test_after_a_fault_of_one_who_is_alone_others_are_served(pool: ThreadPoolExecutor) -> None:
    desk = Desk(ValueError("bad"), bad=[0])
    asked = desk.ask_while_busy(pool, [1])
    assert asked[0].exception() is desk.fault
    assert asked[1].result() == 10
    assert desk.groups == [[0], [1]]


def test_what_has_got_stuck_does_not_hold_up_the_others(pool: ThreadPoolExecutor) -> None:
    desk = Desk()
    stuck = pool.submit(desk.combiner.run, 0)
    until(lambda: desk.groups, "somebody at it")
    assert [each.result(60) for each in [pool.submit(desk.combiner.run, wish) for wish in (1, 2)]] == [10, 20]
    assert not stuck.done()
    desk.may_go_on.set()
    assert stuck.result(60) == 0
    assert desk.combiner.run(3) == 30


def test_however_impatient_they_are_everybody_gets_its_own_answer(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flat_combining, "PATIENCE_SECONDS", 0.0005)
    chance = random.Random(1)

    def act(wishes: Sequence[int]) -> list[int]:
        assert wishes
        time.sleep(chance.random() * 0.001)
        if chance.random() < 0.1:
            raise DatabaseBusyError
        return [10 * wish for wish in wishes]

    tried = FlatCombiner(act)

    def ask(wish: int) -> int:
        try:
            return tried.run(wish)
        except DatabaseBusyError:
            return ask(wish)

    assert list(pool.map(ask, range(2000))) == [10 * wish for wish in range(2000)]
    assert (tried._waiting, tried._leaders) == ([], 0)
