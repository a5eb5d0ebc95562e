"""Decide whether the server reads a body of more than ``SMALL_BODY_BYTES``: an upload, whose owner has a place left.

The server asks before it reads such a body (see ``api.server.bridge``). Whoever authenticates a request calls
``admit_body`` afterwards, so that nobody without a valid key can make the server store anything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar, cast

from flask import Response, current_app, request

from api.runtime.context import current_context
from api.server.exchange import SMALL_BODY_BYTES, SMALL_BODY_SECONDS, BodyState, Exchange
from api.web.errors import RefusedError
from common.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

ATTRIBUTE = "pressroom_upload"
"""The attribute of a view that holds its ``UploadRule``."""


@dataclass(frozen=True)
class UploadRule:
    """What a view accepts: a file of a limited size, in bytes, within *seconds*, in a form of *form_bytes* if any."""

    measure_limit: Callable[[Settings], int]
    seconds: float
    form_bytes: int = 0
    subject: str = "file"
    """The word for messages."""


_SMALL = UploadRule(lambda _: SMALL_BODY_BYTES, SMALL_BODY_SECONDS, subject="body")


def takes_upload(rule: UploadRule) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator for a view that takes a body of more than ``SMALL_BODY_BYTES``."""

    def mark(view: Callable[P, R]) -> Callable[P, R]:
        vars(view)[ATTRIBUTE] = rule
        return view

    return mark


def admit_body(owner: str) -> Response | None:
    """Accept or refuse the body of the current request, if the server asks.

    Returns the answer to the server, which the client does not see, or None if the server did not ask and the view can
    run. Raises RefusedError if the body is too large, did not arrive in time, or *owner* has no place left.
    """
    view = current_app.view_functions[str(request.endpoint)]
    rule = cast("UploadRule", vars(view).get(ATTRIBUTE, _SMALL))
    exchange, limit = Exchange.of(request.environ), rule.measure_limit(current_context().settings)
    if exchange.state is BodyState.LATE:
        detail = f"The {rule.subject} did not arrive within {rule.seconds:g} seconds."
        raise RefusedError("request_timeout", detail)
    most = limit + rule.form_bytes
    is_too_large = exchange.declared is not None and exchange.declared > most
    if is_too_large or (exchange.state is BodyState.OVERSIZED and (not exchange.is_asked or rule is _SMALL)):
        raise RefusedError("body_too_large", f"The {rule.subject} must not exceed {limit} bytes.")
    if not exchange.is_asked:
        return None
    detail = "You have too many uploads in progress; wait until one has ended."
    exchange.call_at_end(current_context().upload_places.take(owner, "too_many_uploads", detail))
    exchange.accept_body(most, rule.seconds)
    return Response(status=204)
