"""How a JSON body is read: strictly, so that what is stored is what was sent and every reader would agree on it."""

import json
import math
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from threading import Event
from typing import Any

from flask import Request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]  # it ships no types
from werkzeug.exceptions import ClientDisconnected

from api.web.errors import RefusedError
from api.web.json_pointer import join, shorten
from api.web.problems import Fault
from api.web.timeouts import alarmed

MAX_BODY_BYTES = 256 * 1024
BODY_SECONDS = 30
MAX_DEPTH = 16
MAX_KEYS = 16_384
MAX_DIGITS = 1000


class StrictRequest(Request):
    """A request whose JSON body is read by ``load``, whatever the caller's options."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """Return the body's object; raise RefusedError for anything else."""
        if self.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise RefusedError("content_encoding", "Send the body without Content-Encoding.")
        charset = self.mimetype_params.get("charset", "utf-8").lower()
        if self.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
            raise RefusedError("unsupported_media_type", "Send the body as Content-Type: application/json, in UTF-8.")
        return self._object

    @cached_property
    def _object(self) -> dict[str, Any]:
        return load(self._read_whole())

    def _read_whole(self) -> bytes:
        """Return the body; the server behind us neither notices one that ends early nor one that goes on."""
        with hurrying(self, BODY_SECONDS) as is_late:
            try:
                # Kept for whoever asks again: the digest of an idempotent request.
                data = self.get_data()
            except (ClientDisconnected, OSError, ParseException):
                data = None
        if data is None or len(data) < (self.content_length or 0):
            if is_late():
                raise RefusedError("request_timeout", f"The body did not arrive within {BODY_SECONDS} seconds.")
            raise RefusedError("bad_request", "The body ended early, or is not what its head says.")
        if self.content_length is None and len(data) >= MAX_BODY_BYTES:
            raise RefusedError("body_too_large", f"A body may have {MAX_BODY_BYTES} bytes.")
        return data


@contextmanager
def hurrying(request: Request, seconds: float) -> Iterator[Callable[[], bool]]:
    """Read no longer than *seconds*: a client that sends a byte a second would keep its thread for days."""
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    late = Event()

    def hang_up() -> None:
        late.set()
        if connection is not None:
            connection.shutdown(socket.SHUT_RD)

    with alarmed(seconds, hang_up):
        yield late.is_set


def load(data: bytes) -> dict[str, Any]:
    """Return the object that *data* spells; raise RefusedError, with the place, if it is not beyond doubt."""
    if b"\0" in data:
        raise RefusedError("invalid_unicode", "The body holds a zero byte; it must be UTF-8.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError("invalid_unicode", f"Byte {error.start} of the body is not UTF-8.") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_read_object,
            parse_constant=_refuse_constant,
            parse_float=_read_float,
            parse_int=_read_integer,
        )
    except json.JSONDecodeError as error:
        detail = f"{error.msg} at offset {error.pos} (line {error.lineno}, column {error.colno})."
        raise RefusedError("invalid_json", detail) from None
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(value, dict):
        raise RefusedError("object_required", "The body must be a JSON object.")
    _inspect(value)
    return value


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_KEYS:
        raise RefusedError("too_many_keys", f"An object has {len(pairs)} keys; {MAX_KEYS} are allowed.")
    read: dict[str, Any] = {}
    for key, value in pairs:
        if key in read:
            raise RefusedError("duplicate_key", f"An object has the key {shorten(key)} twice.")
        read[key] = value
    return read


def _refuse_constant(name: str) -> float:
    raise RefusedError("invalid_number", f"{name} is not a JSON number.")


def _read_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise RefusedError("invalid_number", "A number is too large for a double.")
    return number


def _read_integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise RefusedError("invalid_number", f"A number has {len(text)} digits; {MAX_DIGITS} are allowed.")
    return int(text)


def _inspect(document: dict[str, Any]) -> None:
    """Look at every text: half surrogate pairs and zero bytes are legal JSON that no database takes."""
    stack: list[tuple[Any, int, str]] = [(document, 1, "")]
    while stack:
        value, depth, pointer = stack.pop()
        if depth > MAX_DEPTH:
            raise _too_deep()
        if isinstance(value, dict):
            for key, item in value.items():
                _inspect_text(key, pointer)
                stack.append((item, depth + 1, join(pointer, key)))
        elif isinstance(value, list):
            stack.extend((item, depth + 1, join(pointer, index)) for index, item in enumerate(value))
        elif isinstance(value, str):
            _inspect_text(value, pointer)


def _inspect_text(text: str, pointer: str) -> None:
    if "\0" in text:
        fault = Fault(code="control_character", detail="must not hold a NUL character", pointer=pointer)
        raise RefusedError(fault.code, fault.sentence, [fault])
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RefusedError(
            "invalid_unicode", f"The text at {pointer or 'the top'} holds half a surrogate pair."
        ) from None


def _too_deep() -> RefusedError:
    return RefusedError("json_too_deep", f"The body is nested more than {MAX_DEPTH} levels deep.")
