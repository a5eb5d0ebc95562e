"""Flat combining: batch the requests of many threads (Hendler, Incze, Shavit and Tzafrir, 2010).

One of the requesting threads serves all waiting threads. Meanwhile others queue up, and one of them is next. A thread
that finds no leader starts at once: nobody waits for a batch to fill.
"""

from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Generic, NoReturn, TypeVar

from common.errors import DatabaseBusyError, DatabaseUnavailableError

A = TypeVar("A")
B = TypeVar("B")

PATIENCE_SECONDS = 0.5
"""How long a waiting thread relies on the current leader, so that a stuck leader does not block everybody."""


class _Waiter(Generic[A, B]):
    """A waiting thread; *news* brings the way to its answer, or None if it becomes the leader."""

    def __init__(self, wish: A) -> None:
        self.wish = wish
        self.news: SimpleQueue[Callable[[], B] | None] = SimpleQueue()
        self.is_appointed = False

    def appoint(self) -> None:
        """Make this thread the leader."""
        self.is_appointed = True
        self.news.put(None)


class FlatCombiner(Generic[A, B]):
    """Serves requests with *act*, which takes many requests and returns their answers in the same order.

    If *act* fails, each request is tried again by itself, in its own thread, so that one bad request does not fail the
    others. If the database is unavailable, however, all of them fail.
    """

    def __init__(self, act: Callable[[Sequence[A]], Sequence[B]]) -> None:
        self._act = act
        self._lock = Lock()
        self._waiting: list[_Waiter[A, B]] = []
        self._leaders = 0

    def ask(self, wish: A) -> B:
        """Return the answer to *wish*; raise what *act* raises."""
        mine: _Waiter[A, B] = _Waiter(wish)
        with self._lock:
            self._waiting.append(mine)
            if not self._leaders:
                self._leaders = 1
                mine.appoint()
        while (find_answer := self._hear(mine)) is None:
            self._lead()
        return find_answer()

    def _hear(self, mine: _Waiter[A, B]) -> Callable[[], B] | None:
        try:
            return mine.news.get(timeout=PATIENCE_SECONDS)
        except Empty:
            with self._lock:
                if mine in self._waiting and not mine.is_appointed:
                    self._leaders += 1
                    mine.appoint()
        return mine.news.get()

    def _lead(self) -> None:
        with self._lock:
            group, self._waiting = self._waiting, []
        try:
            # The group may be empty: another leader, whose patience ran out, may have served them all.
            news = self._do([asker.wish for asker in group]) if group else []
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting[0].appoint()
                else:
                    self._leaders -= 1
        for asker, find_answer in zip(group, news, strict=True):
            asker.news.put(find_answer)

    def _do(self, wishes: Sequence[A]) -> list[Callable[[], B]]:
        try:
            return [partial(_return_answer, answer) for answer in self._act(wishes)]
        except Exception as error:  # noqa: BLE001  (the request at fault raises it again when tried alone)
            is_away = isinstance(error, DatabaseUnavailableError) and not isinstance(error, DatabaseBusyError)
            if is_away or len(wishes) == 1:
                return [partial(_raise_error, error)] * len(wishes)
            return [partial(self._do_alone, wish) for wish in wishes]

    def _do_alone(self, wish: A) -> B:
        (answer,) = self._act([wish])
        return answer


def _return_answer(answer: B) -> B:
    return answer


def _raise_error(error: Exception) -> NoReturn:
    raise error
