"""Parse JSON so strictly that every parser would read it in the same way."""

import json
import math
from functools import cached_property
from typing import Any

from flask import Request

from api.web.errors import RefusedError
from api.web.problems import FieldError, join_pointer, quote_shortened

MAX_DEPTH = 16
MAX_KEYS = 16_384
MAX_VALUES = 2000
"""Keys and items below the top level; every one that is wrong costs time of its own, even if few are reported."""
MAX_DIGITS = 1000


class StrictRequest(Request):
    """A request whose JSON body is always read by ``load``."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """Return the JSON object in the body; raise RefusedError for any other body."""
        if self.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise RefusedError("content_encoding", "Send the body without Content-Encoding.")
        charset = self.mimetype_params.get("charset", "utf-8").lower()
        if self.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
            raise RefusedError("unsupported_media_type", "Send the body as Content-Type: application/json, in UTF-8.")
        return self._object

    @cached_property
    def _object(self) -> dict[str, Any]:
        # Cached, because the digest of an idempotent request reads it again.
        return parse_json_object(self.get_data())


def parse_json_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object in *data*; raise RefusedError, with the location, if it is not strictly valid."""
    if b"\0" in data:
        raise RefusedError("invalid_unicode", "The body contains a NUL byte; it must be UTF-8.")
    try:
        text = data.decode("utf-8-sig")  # some clients begin with a byte order mark
    except UnicodeDecodeError as error:
        raise RefusedError("invalid_unicode", f"Byte {error.start} of the body is not UTF-8.") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_build_object,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            parse_int=_parse_integer,
        )
    except json.JSONDecodeError as error:
        detail = f"{error.msg} at offset {error.pos} (line {error.lineno}, column {error.colno})."
        raise RefusedError("invalid_json", detail) from None
    except RecursionError:
        raise _refuse_depth() from None
    if not isinstance(value, dict):
        raise RefusedError("object_required", "The body must be a JSON object.")
    _check_texts(value)
    return value


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_KEYS:
        raise RefusedError("too_many_keys", f"An object has {len(pairs)} keys; the maximum is {MAX_KEYS}.")
    read: dict[str, Any] = {}
    for key, value in pairs:
        if key in read:
            raise RefusedError("duplicate_key", f"An object contains the key {quote_shortened(key)} more than once.")
        read[key] = value
    return read


def _refuse_constant(name: str) -> float:
    raise RefusedError("invalid_number", f"{name} is not a JSON number.")


def _parse_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise RefusedError("invalid_number", "A number is too large for a double-precision float.")
    return number


def _parse_integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise RefusedError("invalid_number", f"A number has {len(text)} digits; the maximum is {MAX_DIGITS}.")
    return int(text)


def _check_texts(document: dict[str, Any]) -> None:
    """Check every string: unpaired surrogates and NUL are legal in JSON, but databases do not accept them."""
    stack: list[tuple[Any, int, str]] = [(document, 1, "")]
    count = 0
    while stack:
        value, depth, pointer = stack.pop()
        if depth > MAX_DEPTH:
            raise _refuse_depth()
        if isinstance(value, dict | list) and value is not document:
            count += len(value)
            if count > MAX_VALUES:
                raise RefusedError(
                    "too_many_keys", f"The body has more than {MAX_VALUES} keys and items below its fields."
                )
        if isinstance(value, dict):
            for key, item in value.items():
                _check_text(key, pointer)
                stack.append((item, depth + 1, join_pointer(pointer, key)))
        elif isinstance(value, list):
            stack.extend((item, depth + 1, join_pointer(pointer, index)) for index, item in enumerate(value))
        elif isinstance(value, str):
            _check_text(value, pointer)


def _check_text(text: str, pointer: str) -> None:
    if "\0" in text:
        fault = FieldError(code="control_character", detail="must not contain a NUL character", pointer=pointer)
        raise RefusedError(fault.code, fault.sentence, [fault])
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RefusedError(
            "invalid_unicode", f"The string at {pointer or 'the top level'} contains an unpaired surrogate."
        ) from None


def _refuse_depth() -> RefusedError:
    return RefusedError("json_too_deep", f"The body must not be nested more than {MAX_DEPTH} levels deep.")
