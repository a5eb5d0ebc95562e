"""Run requests in threads, taking turns between callers: who sends a thousand at once delays only itself."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Leave = Callable[[], object]


class Turn:
    """The right of one caller to have a request worked on."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave: Callable[[], None] | None = leave

    def end(self) -> None:
        """Let the next request in; idempotent."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


class FairThreads:
    """Works on *active* requests at a time, and has *idle* more threads for those that left their turn to wait.

    The callers who have requests at the moment share the turns equally. Used from one event loop.
    """

    def __init__(self, active: int, idle: int) -> None:
        self._executor = ThreadPoolExecutor(active + idle, "request")
        self._active = active
        self._running = Counter[str]()
        self._waiting: dict[str, deque[asyncio.Future[Turn]]] = {}  # whose turn is next comes first

    async def run(self, caller: str, act: Callable[[Leave], None]) -> None:
        """Call *act* in a thread when it is the turn of *caller*; *act* may call its argument to leave its turn."""
        loop = asyncio.get_running_loop()
        turn = await self._enter(caller)
        try:
            await loop.run_in_executor(self._executor, act, lambda: loop.call_soon_threadsafe(turn.end))
        finally:
            turn.end()

    async def _enter(self, caller: str) -> Turn:
        if caller not in self._waiting and self._may_run(caller):
            return self._begin(caller)
        waiting: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            if not waiting.cancelled():
                waiting.result().end()
            raise

    def _begin(self, caller: str) -> Turn:
        self._running[caller] += 1
        return Turn(lambda: self._end(caller))

    def _end(self, caller: str) -> None:
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        while (following := next(filter(self._may_run, self._waiting), None)) is not None:
            self._begin_next(following)

    def _begin_next(self, caller: str) -> None:
        waiting = self._waiting.pop(caller)
        first = waiting.popleft()
        if waiting:
            self._waiting[caller] = waiting  # at the end: the others come first
        if not first.done():
            first.set_result(self._begin(caller))

    def _may_run(self, caller: str) -> bool:
        present = len(self._running.keys() | self._waiting.keys() | {caller})
        return self._running.total() < self._active and self._running[caller] < max(1, self._active // present)
