"""Doing at once what many threads ask for one by one: flat combining (Hendler, Incze, Shavit and Tzafrir, 2010).

One of those who ask does it for all who wait. Meanwhile others gather, and one of them is next. Who finds nobody at
it begins at once: nobody waits for company.
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
"""How long those who wait leave it to others to begin: what has got stuck must not hold up everybody."""


class _Asker(Generic[A, B]):
    """One who waits, and what it is sent: the way to its answer, or None when it is to do it for all."""

    def __init__(self, wish: A) -> None:
        self.wish = wish
        self.news: SimpleQueue[Callable[[], B] | None] = SimpleQueue()
        self.is_appointed = False

    def appoint(self) -> None:
        """Have this one do it for all who wait."""
        self.is_appointed = True
        self.news.put(None)


class Combiner(Generic[A, B]):
    """Does what is asked for by *act*, which takes many wishes and returns their answers in the same order.

    When *act* fails, each wish is tried again by itself, in the thread that asked: the fault of one is not that of
    its company. But if the database is away, it is so for all.
    """

    def __init__(self, act: Callable[[Sequence[A]], Sequence[B]]) -> None:
        self._act = act
        self._lock = Lock()
        self._waiting: list[_Asker[A, B]] = []
        self._leaders = 0

    def ask(self, wish: A) -> B:
        """Return the answer to *wish*; raise what *act* raises."""
        mine: _Asker[A, B] = _Asker(wish)
        with self._lock:
            self._waiting.append(mine)
            if not self._leaders:
                self._leaders = 1
                mine.appoint()
        while (find_answer := self._hear(mine)) is None:
            self._lead()
        return find_answer()

    def _hear(self, mine: _Asker[A, B]) -> Callable[[], B] | None:
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
            # Nobody may be left: another leader, who lost patience, may have taken them all.
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
            return [partial(_tell, answer) for answer in self._act(wishes)]
        except Exception as error:  # noqa: BLE001  (whatever it is: who is to blame meets it again, alone)
            is_away = isinstance(error, DatabaseUnavailableError) and not isinstance(error, DatabaseBusyError)
            if is_away or len(wishes) == 1:
                return [partial(_fail, error)] * len(wishes)
            return [partial(self._do_alone, wish) for wish in wishes]

    def _do_alone(self, wish: A) -> B:
        (answer,) = self._act([wish])
        return answer


def _tell(answer: B) -> B:
    return answer


def _fail(error: Exception) -> NoReturn:
    raise error
