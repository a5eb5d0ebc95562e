"""Run a WSGI app behind an ASGI server: threads run the app, and never wait for a client to send or to read.

The body of a request is read before the app runs, and its answer is held until the client has read it. A body of more
than ``SMALL_BODY_BYTES`` is only read if the app accepts it: the app is asked first, with an empty body, so that it can
refuse a request without a valid key, a wrong path, or an owner who has too many uploads already.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import closing
from functools import partial
from typing import Any

from api.server.answers import Answer, ClientGoneError
from api.server.bodies import Receive, RequestBody
from api.server.environ import Environ, attach_body, build_environ
from api.server.exchange import KEY, SMALL_BODY_BYTES, SMALL_BODY_SECONDS, BodyState, Exchange
from api.server.fair_threads import FairThreads, Leave
from common.logs import get_logger

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = get_logger(__name__)


class Bridge:
    """The ASGI app that runs the WSGI app *app*: *active* requests at a time, and *idle* ones that only wait."""

    def __init__(self, app: Callable[..., Any], active: int, idle: int) -> None:
        self._app = app
        self._threads = FairThreads(active, idle)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        exchange = Exchange()
        environ = build_environ(scope)
        environ[KEY] = exchange
        headers = dict(scope["headers"])
        with closing(exchange):
            if b"content-length" not in headers and b"transfer-encoding" not in headers:
                await self._respond(attach_body(environ, io.BytesIO(), 0), receive, send)
                return
            # The parser of the server refuses every Content-Length that is not a number.
            exchange.declared = int(headers[b"content-length"]) if b"content-length" in headers else None
            with closing(RequestBody(receive)) as body:
                await self._respond_to_body(environ, exchange, body, receive, send)

    async def _respond_to_body(
        self, environ: Environ, exchange: Exchange, body: RequestBody, receive: Receive, send: Send
    ) -> None:
        if exchange.declared is not None and exchange.declared > SMALL_BODY_BYTES:
            exchange.state = BodyState.OVERSIZED
        else:
            exchange.state = await body.read(SMALL_BODY_BYTES, SMALL_BODY_SECONDS)
        if exchange.state is BodyState.OVERSIZED:
            exchange.is_asked = True
            with closing(Answer(asyncio.get_running_loop())) as refusal:
                await self._run_app(attach_body(environ, io.BytesIO(), 0), refusal)
                if exchange.accepted is None:
                    await _send_answer(refusal, send, is_last="HTTP_EXPECT" in environ)
                    return
            exchange.is_asked = False
            exchange.state = await body.read(*exchange.accepted)
        if exchange.state is BodyState.DISCONNECTED:
            return
        await self._respond(attach_body(environ, body.rewind(), body.length), receive, send)

    async def _respond(self, environ: Environ, receive: Receive, send: Send) -> None:
        with closing(Answer(asyncio.get_running_loop())) as answer:
            running = asyncio.ensure_future(self._run_app(environ, answer))
            await answer.wait()
            watching = None if answer.is_ended else asyncio.ensure_future(_watch_client(receive, answer))
            try:
                await _send_answer(answer, send)
            finally:
                answer.abandon()
                if watching is not None:
                    watching.cancel()
                await running

    async def _run_app(self, environ: Environ, answer: Answer) -> None:
        await self._threads.run(_name_caller(environ), partial(self._write_answer, environ, answer))

    def _write_answer(self, environ: Environ, answer: Answer, leave_turn: Leave) -> None:
        Exchange.of(environ).leave_turn = leave_turn
        try:
            pieces = self._app(environ, answer.start_response)
            try:
                for piece in pieces:
                    answer.write(piece)
            finally:
                if hasattr(pieces, "close"):
                    pieces.close()
        except ClientGoneError:
            answer.end()  # nobody reads it
        except Exception as error:  # noqa: BLE001  (the app answers its own errors: this one broke off an answer)
            log.warning("answer_broken_off", error=type(error).__name__)  # its message may quote a prompt
            answer.end(is_broken=True)
        else:
            answer.end()


def _name_caller(environ: Environ) -> str:
    """Return what tells callers apart before anybody has checked who they are."""
    return str(environ.get("HTTP_AUTHORIZATION") or environ.get("HTTP_COOKIE") or environ["REMOTE_ADDR"])


async def _send_answer(answer: Answer, send: Send, *, is_last: bool = False) -> None:
    """Send *answer*; with *is_last*, close the connection after it.

    A client that waits for ``100 Continue`` and gets this answer instead may send its body or the next request, and
    nobody could tell which. Of other clients, the rest of a body is dropped until ``LINGER_SECONDS`` are over: if the
    connection were closed at once, they would not see the answer.
    """
    headers = [*answer.headers, (b"connection", b"close")] if is_last else answer.headers
    rest = answer.read_rest()
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if rest is not None:
        await send({"type": "http.response.body", "body": rest})
        return
    while (piece := await answer.read()) is not None:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _watch_client(receive: Receive, answer: Answer) -> None:
    """Abandon *answer* when the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    answer.abandon()
