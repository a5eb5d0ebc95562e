"""Read the body of a request: small ones into memory, larger ones into a temporary file."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from api.server.exchange import SMALL_BODY_BYTES, BodyState

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

WRITE_BYTES = 1024 * 1024
"""How much of a large body is collected before it is written to the disk."""


class RequestBody:
    """The body of one request; must be closed."""

    def __init__(self, receive: Receive) -> None:
        self.file: IO[bytes] = cast("IO[bytes]", SpooledTemporaryFile(SMALL_BODY_BYTES))  # noqa: SIM115  (see close)
        self.length = 0
        self._receive = receive
        self._is_complete = False

    async def read(self, limit: int, seconds: float) -> BodyState:
        """Read on until the body is complete, exceeds *limit* bytes in all, or *seconds* have passed."""
        try:
            async with asyncio.timeout(seconds):
                return await self._read(limit)
        except TimeoutError:
            return BodyState.LATE

    def rewind(self) -> IO[bytes]:
        """Return the file, at its beginning."""
        self.file.seek(0)
        return self.file

    def close(self) -> None:
        """Delete what was read."""
        self.file.close()

    async def _read(self, limit: int) -> BodyState:
        collected = bytearray()
        state = BodyState.COMPLETE if self.length <= limit else BodyState.OVERSIZED
        while not self._is_complete and state is BodyState.COMPLETE:
            message = await self._receive()
            if message["type"] != "http.request":
                return BodyState.DISCONNECTED
            collected += message.get("body", b"")
            self._is_complete = not message.get("more_body", False)
            if self.length + len(collected) > limit:
                state = BodyState.OVERSIZED
            elif len(collected) >= WRITE_BYTES:
                await self._write(collected)
                collected.clear()
        await self._write(collected)
        return state

    async def _write(self, data: bytearray) -> None:
        self.length += len(data)
        if self.length > SMALL_BODY_BYTES:
            await asyncio.to_thread(self.file.write, bytes(data))  # a slow disk must not stop the event loop
        else:
            self.file.write(data)
