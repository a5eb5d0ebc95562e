"""Hold the answer of the app until the client has read it, so that a slow client does not hold a thread."""

import asyncio
import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from typing import IO, Any

MEMORY_BYTES = 256 * 1024
DISK_BYTES = 64 * 2**20
"""How much of an answer may wait on the disk; the thread that writes more waits for the client."""

PIECE_BYTES = 64 * 1024
UNBUFFERED = ("x-accel-buffering", "no")
"""The header of a stream, each piece of which is sent at once; reverse proxies read it too."""

Headers = list[tuple[bytes, bytes]]


class ClientGoneError(Exception):
    """The client has left before it read the whole answer."""


class BrokenAnswerError(Exception):
    """The app failed while it wrote the answer."""


class Answer:
    """An answer that a thread writes and the event loop sends."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.status = 0
        self.headers: Headers = []
        self.is_ended = False
        self._is_stream = self._is_broken = False
        self._is_gone = False
        self._loop = loop
        self._pieces: deque[bytes] = deque()
        self._in_memory = 0
        self._file: IO[bytes] | None = None
        self._written = self._sent = 0  # positions in the file
        self._changed = threading.Condition()
        self._news = asyncio.Event()

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[..., None]:
        """Take the status and the headers of the answer (PEP 3333)."""
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._is_stream = any((name.lower(), value) == UNBUFFERED for name, value in headers)
        return self.write

    def write(self, data: bytes) -> None:
        """Add *data*; wait while too much is unsent, and raise ClientGoneError when nobody reads it any more."""
        if not data:
            return
        with self._changed:
            while not self._is_gone and self._written - self._sent >= DISK_BYTES:
                self._changed.wait()
            if self._is_gone:
                raise ClientGoneError
            fits = self._sent == self._written and self._in_memory + len(data) <= MEMORY_BYTES
            if fits:
                self._pieces.append(data)
                self._in_memory += len(data)
            else:
                self._write_file(data)
        if self._is_stream or not fits:
            self._notify()

    def end(self, *, is_broken: bool = False) -> None:
        """Mark the answer as complete, or as broken off."""
        self._is_broken = is_broken
        self.is_ended = True
        self._notify()

    def abandon(self) -> None:
        """Stop the thread that writes the answer: the client has left."""
        with self._changed:
            self._is_gone = True
            self._changed.notify_all()

    def close(self) -> None:
        """Drop what was not sent."""
        self.abandon()
        with self._changed:
            self._pieces.clear()
            if self._file is not None:
                self._file.close()
                self._file = None

    async def wait(self) -> None:
        """Wait until something can be sent: the whole answer if it is small, or a part of a larger one or a stream."""
        await self._news.wait()

    async def read(self) -> bytes | None:
        """Return the next piece, waiting for it; None after the last one. Raises BrokenAnswerError."""
        while True:
            self._news.clear()
            is_ended = self.is_ended
            with self._changed:
                data = self._take_piece()
            if data is not None:
                return data
            if is_ended:
                self._check_unbroken()
                return None
            await self._news.wait()

    def read_rest(self) -> bytes | None:
        """Return the rest of an answer that has ended if it is in memory, else None. Raises BrokenAnswerError."""
        with self._changed:
            if not self.is_ended or self._sent != self._written:
                return None
            rest = b"".join(self._pieces)
            self._pieces.clear()
        self._check_unbroken()
        return rest

    def _check_unbroken(self) -> None:
        if self._is_broken:
            raise BrokenAnswerError

    def _take_piece(self) -> bytes | None:
        if self._pieces:
            data = self._pieces.popleft()
            self._in_memory -= len(data)
            return data
        if self._file is None or self._sent == self._written:
            return None
        data = os.pread(self._file.fileno(), min(PIECE_BYTES, self._written - self._sent), self._sent)
        self._sent += len(data)
        self._changed.notify_all()
        return data

    def _write_file(self, data: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (see close)
        if self._sent == self._written:
            self._sent = self._written = 0
        rest = memoryview(data)
        while rest:
            done = os.pwrite(self._file.fileno(), rest, self._written)
            self._written += done
            rest = rest[done:]

    def _notify(self) -> None:
        self._loop.call_soon_threadsafe(self._news.set)
