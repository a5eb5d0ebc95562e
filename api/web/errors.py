"""One shape for every error that leaves the api: RFC 9457 ``application/problem+json``."""

import traceback
from collections.abc import Mapping, Sequence
from typing import Any, cast

from flask import Flask, Response, current_app, g
from werkzeug.exceptions import HTTPException

from api.web.problems import CODE_OF_STATUS, PROBLEMS, Fault, Problem
from common.errors import PressroomError, StorageError
from common.logs import get_logger

MEDIA_TYPE = "application/problem+json"
BASE_URL = "PRESSROOM_BASE_URL"
"""Where the app's config holds the URL under which clients reach it."""

MOST_FAULTS = 50
LONGEST_DETAIL = 400
CLIENT_ERRORS = 400

logger = get_logger(__name__)


class RefusedError(PressroomError):
    """The request cannot be served, for a reason that its sender can mend."""

    def __init__(
        self, code: str, detail: str, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.faults = faults
        self.headers = headers


def refuse(faults: Sequence[Fault]) -> RefusedError:
    """Return the error for *faults*: its code is theirs if they agree, else ``invalid_request``."""
    codes = {fault.code for fault in faults}
    if len(codes) > 1:
        return RefusedError("invalid_request", f"{len(faults)} fields are not valid.", faults)
    return RefusedError(codes.pop(), faults[0].sentence, faults)


def install(app: Flask) -> None:
    """Have every error of *app* answered in the one shape, those of the framework and our own faults included."""
    app.register_error_handler(
        RefusedError, lambda error: respond(error.code, error.message, error.faults, error.headers)
    )
    app.register_error_handler(PressroomError, _answer_known)
    app.register_error_handler(HTTPException, _answer_framework)
    app.register_error_handler(Exception, _answer_unforeseen)


def answer(error: Exception) -> Response:
    """Return the answer for whatever went wrong, but for what the framework raises to lead elsewhere."""
    if isinstance(error, RefusedError):
        return respond(error.code, error.message, error.faults, error.headers)
    if isinstance(error, PressroomError):
        return _answer_known(error)
    if isinstance(error, HTTPException):
        return cast("Response", _answer_framework(error))
    return _answer_unforeseen(error)


def respond(
    code: str,
    detail: str,
    faults: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer for a problem of the kind *code*."""
    kind = PROBLEMS[code]
    problem = Problem(
        type=f"{current_app.config[BASE_URL]}/docs/errors#{code}",
        title=kind.title,
        status=kind.status,
        code=code,
        detail=detail[:LONGEST_DETAIL],
        request_id=g.request_id,
        errors=list(faults[:MOST_FAULTS]),
    )
    response = Response(problem.model_dump_json(exclude_none=True), kind.status, content_type=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    if kind.retry_after is not None:
        response.headers["Retry-After"] = str(kind.retry_after)
    response.headers.update(headers or {})
    return response


def _answer_known(error: PressroomError) -> Response:
    if error.code not in PROBLEMS:
        return _answer_unforeseen(error)
    if isinstance(error, StorageError) or PROBLEMS[error.code].status >= 500:  # noqa: PLR2004  (our own faults)
        logger.warning("request failed", code=error.code)
        # What a server of ours answered is for our logs, not for clients.
        return respond(error.code, type(error)().message)
    return respond(error.code, error.message)


def _answer_framework(error: HTTPException) -> Any:
    if error.code is None or error.code < CLIENT_ERRORS:
        return error
    code = CODE_OF_STATUS.get(error.code, "bad_request" if error.code < 500 else "internal_error")  # noqa: PLR2004
    allowed = {name: value for name, value in error.get_headers() if name == "Allow"}
    return respond(code, f"{PROBLEMS[code].title}.", headers=allowed)


def _answer_unforeseen(error: Exception) -> Response:
    # The message is left out of the log: a database error, for one, quotes the row, and with it the prompt.
    trace = "".join(traceback.format_tb(error.__traceback__))
    logger.error("request crashed", error=type(error).__name__, trace=trace)
    return respond("internal_error", "The fault has been logged under this request_id.")
