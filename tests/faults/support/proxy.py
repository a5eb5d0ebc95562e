"""A proxy between a process and a server it depends on, which can be slow, silent, cut or gone; it only sees bytes."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHUNK = 65_536
CALL_SECONDS = 30
ABRUPTLY = struct.pack("ii", 1, 0)

Target = tuple[str, int] | Path


@dataclass(frozen=True)
class Loss:
    """What the first connection loses that has sent *after* and then sends *of*: the answer to it, or it itself."""

    after: bytes
    of: bytes
    is_of_answer: bool


@dataclass(eq=False)
class Link:
    """A connection through the proxy: both its ends, and what has been seen on it."""

    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    is_marked: bool = False
    swallows: bool = False
    is_forsaken: bool = False
    carried: int = 0

    def abort(self) -> None:
        """End it as a machine does that has lost its power: a reset, and no goodbye."""
        for writer in self.writers:
            end = writer.get_extra_info("socket")
            if end is not None and end.family != socket.AF_UNIX:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABRUPTLY)
            writer.transport.abort()


class Proxy:
    """Listens on a port of its own and carries bytes to *target* and back; any thread may call it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._passes = asyncio.Event()
        self._never = asyncio.Event()
        self._delay_seconds = 0.0
        self._cut_after: int | None = None
        self._loss: Loss | None = None
        self.has_lost = threading.Event()
        self.port = 0
        self._thread.start()
        self.heal()

    def heal(self) -> None:
        """Carry everything at once, again."""
        self._delay_seconds, self._cut_after, self._loss = 0.0, None, None
        self._call(self._listen())

    def refuse(self) -> None:
        """Cut every connection and take no more, as if nothing listened."""
        self._call(self._go())

    def reset(self) -> None:
        """Cut every connection; new ones are taken."""
        self._call(self._cut())

    def hang(self) -> None:
        """Carry nothing more on any connection, old or new, and end none: half open."""
        self._loop.call_soon_threadsafe(self._passes.clear)

    def forsake(self) -> None:
        """Carry nothing more on the connections that there are, for good, and end none; new ones are carried."""
        self._loop.call_soon_threadsafe(self._forsake)

    def slow(self, seconds: float) -> None:
        """Hold every piece of data back for so long, in both directions."""
        self._delay_seconds = seconds

    def cut_after(self, count: int) -> None:
        """Cut the next connection that has carried so many bytes to the target; once."""
        self.has_lost.clear()
        self._cut_after = count

    def lose(self, loss: Loss) -> None:
        """Lose something, once; ``has_lost`` tells that it has happened."""
        self.has_lost.clear()
        self._loss = loss

    def close(self) -> None:
        """End everything."""
        self._call(self._go())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    def _forsake(self) -> None:
        for link in self._links:
            link.is_forsaken = True

    async def _listen(self) -> None:
        self._passes.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _go(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        for link in list(self._links):
            link.abort()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link([writer])
        self._links.add(link)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            answers, asks = await self._connect()
            link.writers.append(asks)
            await asyncio.gather(self._pump(link, reader, asks, asks=True), self._pump(link, answers, writer))
        except (OSError, asyncio.CancelledError):
            pass  # the other end will notice; who is cancelled here is being cut
        finally:
            link.abort()
            self._links.discard(link)
            self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(str(self._target))
        return await asyncio.open_connection(*self._target)

    async def _pump(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, asks: bool = False
    ) -> None:
        while data := await reader.read(CHUNK):
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            await self._passes.wait()
            if link.is_forsaken:
                await self._never.wait()
            if self._is_lost(link, data, asks=asks):
                self.has_lost.set()
                raise ConnectionResetError
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    def _is_lost(self, link: Link, data: bytes, *, asks: bool) -> bool:
        if not asks:
            return link.swallows
        link.carried += len(data)
        if self._cut_after is not None and link.carried > self._cut_after:
            self._cut_after = None
            return True
        loss = self._loss
        if loss is None:
            return False
        link.is_marked = link.is_marked or loss.after in data
        if not link.is_marked or loss.of not in data:
            return False
        self._loss = None
        link.swallows = loss.is_of_answer
        return not loss.is_of_answer


@contextmanager
def proxied(target: Target) -> Iterator[Proxy]:
    """Run a proxy to *target* until the block ends."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
