"""Flat combining: batch the requests of many threads, as Hendler, Incze, Shavit and Tzafrir (SPAA 2010) describe it.

One of the requesting threads, the leader, runs the requests of all waiting threads (https://doi.org/10.1145/1810479.1810540).
Meanwhile others queue up, and one of them leads next. A thread that finds no leader starts at once: nobody waits for
a batch to fill.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from enum import Enum, auto
from threading import Lock
from typing import Generic, TypeVar

from common.errors import DatabaseBusyError, DatabaseUnavailableError

A = TypeVar("A")
B = TypeVar("B")

PATIENCE_SECONDS = 0.5
"""How long a waiting thread relies on the current leader, so that a stuck leader does not block everybody."""


class _Duty(Enum):
    LEAD = auto()
    RUN_ALONE = auto()


class _Waiter(Generic[A, B]):
    """A request; its future brings the result, or what the thread of the request must do to get it."""

    def __init__(self, item: A) -> None:
        self.item = item
        self.future: Future[B | _Duty] = Future()


class FlatCombiner(Generic[A, B]):
    """Runs requests with *act*, which takes many requests and returns their results in the same order.

    If *act* fails, each request is run again by itself, in its own thread, so that one bad request does not fail the
    others. If the database is unavailable, however, all of them fail.
    """

    def __init__(self, act: Callable[[Sequence[A]], Sequence[B]]) -> None:
        self._act = act
        self._lock = Lock()
        self._waiting: list[_Waiter[A, B]] = []
        self._leaders = 0

    def run(self, item: A) -> B:
        """Return the result of *item*; raise what *act* raises."""
        mine: _Waiter[A, B] = _Waiter(item)
        with self._lock:
            is_first = not self._leaders
            if is_first:
                self._leaders = 1
            else:
                self._waiting.append(mine)
        outcome = _Duty.LEAD if is_first else self._wait(mine)
        if outcome is _Duty.LEAD:
            return self._run_batch(mine)
        if outcome is _Duty.RUN_ALONE:
            return self._run_alone(mine)
        return outcome

    def _wait(self, waiter: _Waiter[A, B]) -> B | _Duty:
        try:
            return waiter.future.result(PATIENCE_SECONDS)
        except TimeoutError:
            with self._lock:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                    self._leaders += 1
                    return _Duty.LEAD
        return waiter.future.result()  # it is in a batch that is running, or leads the next

    def _run_batch(self, leader: _Waiter[A, B]) -> B:
        with self._lock:
            followers, self._waiting = self._waiting, []
        results: Sequence[B] = ()
        failure: Exception | None = None
        try:
            results = self._act([waiter.item for waiter in (leader, *followers)])
        except Exception as error:  # noqa: BLE001  (the request at fault raises it again when run alone)
            failure = error
        finally:
            self._replace_leader()
        if failure is None:
            for follower, result in zip(followers, results[1:], strict=True):
                follower.future.set_result(result)
            return results[0]
        is_shared = isinstance(failure, DatabaseUnavailableError) and not isinstance(failure, DatabaseBusyError)
        for follower in followers:
            if is_shared:
                follower.future.set_exception(failure)
            else:
                follower.future.set_result(_Duty.RUN_ALONE)
        if is_shared or not followers:
            raise failure
        return self._run_alone(leader)

    def _run_alone(self, waiter: _Waiter[A, B]) -> B:
        (result,) = self._act([waiter.item])
        return result

    def _replace_leader(self) -> None:
        """Let the next waiter lead, before results are handed out: the next batch need not wait for that."""
        with self._lock:
            if self._waiting:
                self._waiting.pop(0).future.set_result(_Duty.LEAD)
            else:
                self._leaders -= 1
