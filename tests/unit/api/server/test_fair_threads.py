"""Turns between callers: whoever sends much does not keep others waiting."""

import asyncio
import threading
from collections.abc import Callable

from api.server.fair_threads import FairThreads, Leave


class Work:
    """Requests that run until they are let go, in the order in which they began."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self._lock = threading.Lock()
        self._go_on: dict[str, threading.Event] = {}

    def build(self, name: str) -> Callable[[Leave], None]:
        event = self._go_on[name] = threading.Event()

        def act(_: Leave) -> None:
            with self._lock:
                self.began.append(name)
            event.wait(10)

        return act

    def end(self, *names: str) -> None:
        for name in names:
            self._go_on[name].set()

    def end_all(self) -> None:
        self.end(*self._go_on)

    async def await_began(self, count: int) -> list[str]:
        async with asyncio.timeout(10):
            while len(self.began) < count:  # noqa: ASYNC110  (threads begin them)
                await asyncio.sleep(0.002)
        await asyncio.sleep(0.02)  # for those who should not begin
        return sorted(self.began)


def start(threads: FairThreads, work: Work, caller: str, *names: str) -> list[asyncio.Future[None]]:
    return [asyncio.ensure_future(threads.run(caller, work.build(name))) for name in names]


def test_a_caller_alone_uses_every_thread() -> None:
    async def run() -> None:
        threads, work = FairThreads(4, 0), Work()
        tasks = start(threads, work, "a", "a1", "a2", "a3", "a4", "a5")
        assert await work.await_began(4) == ["a1", "a2", "a3", "a4"]
        work.end_all()
        await asyncio.gather(*tasks)
        assert len(work.began) == 5

    asyncio.run(run())


def test_whoever_comes_later_is_served_before_the_rest_of_a_crowd() -> None:
    async def run() -> None:
        threads, work = FairThreads(2, 0), Work()
        tasks = start(threads, work, "crowd", *(f"c{number}" for number in range(1, 6)))
        await work.await_began(2)
        tasks += start(threads, work, "other", "o1", "o2")
        work.end("c1")
        assert await work.await_began(3) == ["c1", "c2", "o1"]
        work.end("c2")
        assert await work.await_began(4) == ["c1", "c2", "c3", "o1"], "each has half"
        work.end_all()
        await asyncio.gather(*tasks)
        assert len(work.began) == 7

    asyncio.run(run())


def test_a_crowd_uses_every_thread_again_when_the_others_have_gone() -> None:
    async def run() -> None:
        threads, work = FairThreads(4, 0), Work()
        tasks = start(threads, work, "other", "o1", "o2", "o3")
        await work.await_began(3)
        tasks += start(threads, work, "crowd", *(f"c{number}" for number in range(1, 9)))
        work.end("o1", "o2")
        await work.await_began(5)
        work.end("o3")
        assert await work.await_began(7) == ["c1", "c2", "c3", "c4", "o1", "o2", "o3"]
        work.end_all()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_a_request_that_leaves_its_turn_lets_another_in_and_goes_on() -> None:
    async def run() -> None:
        threads, work, go_on = FairThreads(1, 1), Work(), threading.Event()

        def wait(leave: Leave) -> None:
            leave()
            leave()
            go_on.wait(10)

        waiting = asyncio.ensure_future(threads.run("a", wait))
        tasks = start(threads, work, "a", "a1", "a2")
        assert await work.await_began(1) == ["a1"], "it gave its turn away once, and not twice"
        go_on.set()
        await waiting
        work.end_all()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_a_request_given_up_while_it_waits_gives_its_turn_on() -> None:
    async def run() -> None:
        threads, work = FairThreads(1, 0), Work()
        first = start(threads, work, "a", "a1")
        await work.await_began(1)
        (given_up,) = start(threads, work, "b", "b1")
        last = start(threads, work, "c", "c1")
        await asyncio.sleep(0)
        given_up.cancel()
        work.end("a1")
        assert await work.await_began(2) == ["a1", "c1"]
        work.end_all()
        await asyncio.gather(*first, *last)

    asyncio.run(run())


def test_a_failing_request_gives_its_turn_back() -> None:
    async def run() -> None:
        threads, work = FairThreads(1, 0), Work()

        def fail(_: Leave) -> None:
            raise ZeroDivisionError

        (failed,) = await asyncio.gather(threads.run("a", fail), return_exceptions=True)
        assert isinstance(failed, ZeroDivisionError)
        tasks = start(threads, work, "a", "a1")
        await work.await_began(1)
        work.end_all()
        await asyncio.gather(*tasks)

    asyncio.run(run())
