"""Error responses: every error of the API is RFC 9457 ``application/problem+json``."""

import traceback
from collections.abc import Mapping, Sequence
from typing import Any, cast

from flask import Flask, Response, current_app, g
from werkzeug.exceptions import HTTPException

from api.web.problems import CODE_OF_STATUS, PROBLEMS, FieldError, Problem
from common.errors import PressroomError, StorageError
from common.logs import get_logger

MEDIA_TYPE = "application/problem+json"
BASE_URL = "PRESSROOM_BASE_URL"
"""The config key of the app's public base URL."""

MOST_FAULTS = 50
LONGEST_DETAIL = 400
CLIENT_ERRORS = 400

log = get_logger(__name__)


class RefusedError(PressroomError):
    """The request was refused for a reason that the client can correct."""

    def __init__(
        self, code: str, detail: str, faults: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.faults = faults
        self.headers = headers


def refuse_request(faults: Sequence[FieldError]) -> RefusedError:
    """Return the error for *faults*, with their common code or else ``invalid_request``."""
    codes = {fault.code for fault in faults}
    if len(codes) > 1:
        return RefusedError("invalid_request", f"{len(faults)} fields are not valid.", faults)
    return RefusedError(codes.pop(), faults[0].sentence, faults)


def install(app: Flask) -> None:
    """Return every error of *app* as a problem, including framework errors and unexpected exceptions."""
    app.register_error_handler(
        RefusedError, lambda error: respond_problem(error.code, error.message, error.faults, error.headers)
    )
    app.register_error_handler(PressroomError, _respond_to_known)
    app.register_error_handler(HTTPException, _respond_to_framework)
    app.register_error_handler(Exception, _respond_to_unforeseen)


def respond_to_error(error: Exception) -> Response:
    """Return the response for an exception; framework redirects pass through."""
    if isinstance(error, RefusedError):
        return respond_problem(error.code, error.message, error.faults, error.headers)
    if isinstance(error, PressroomError):
        return _respond_to_known(error)
    if isinstance(error, HTTPException):
        return cast("Response", _respond_to_framework(error))
    return _respond_to_unforeseen(error)


def respond_problem(
    code: str,
    detail: str,
    faults: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the response for a problem with *code*."""
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


def _respond_to_known(error: PressroomError) -> Response:
    if error.code not in PROBLEMS:
        return _respond_to_unforeseen(error)
    if isinstance(error, StorageError) or PROBLEMS[error.code].status >= 500:  # noqa: PLR2004  (our own faults)
        log.warning("request_failed", code=error.code)
        # Details from internal servers are for the logs, not for clients.
        return respond_problem(error.code, type(error)().message)
    return respond_problem(error.code, error.message)


def _respond_to_framework(error: HTTPException) -> Any:
    if error.code is None or error.code < CLIENT_ERRORS:
        return error
    code = CODE_OF_STATUS.get(error.code, "bad_request" if error.code < 500 else "internal_error")  # noqa: PLR2004
    allowed = {name: value for name, value in error.get_headers() if name == "Allow"}
    return respond_problem(code, f"{PROBLEMS[code].title}.", headers=allowed)


def _respond_to_unforeseen(error: Exception) -> Response:
    # The message is not logged: a database error, for example, quotes the row and thus the prompt.
    trace = "".join(traceback.format_tb(error.__traceback__))
    log.error("request_crashed", error=type(error).__name__, trace=trace)
    return respond_problem("internal_error", "The error was logged under this request_id.")
