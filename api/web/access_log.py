"""Access log: one line per request with its request ID and client, and no query strings, bodies, keys or links."""

import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response, g, request

from api.server.exchange import Exchange
from common.db.ids import create_id
from common.logs import bind_log_context, get_logger

HEADER = "X-Request-Id"
REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = get_logger(__name__)


def install(app: Flask, find_client: Callable[[WSGIEnvironment], str]) -> None:
    """Assign an ID to every request of *app*, find its client's address, and log it."""

    def start_request() -> None:
        g.client_address = find_client(request.environ)
        _start_request()

    app.before_request(start_request)
    app.after_request(_log_response)
    app.teardown_request(_clear_log_context)


def _start_request() -> None:
    given = request.headers.get(HEADER, "")
    g.request_id = given if REQUEST_ID_PATTERN.fullmatch(given) else create_id().hex
    g.began = time.perf_counter()
    g.log_ids = ExitStack()
    g.log_ids.enter_context(bind_log_context(request_id=g.request_id))


def _log_response(response: Response) -> Response:
    response.headers[HEADER] = g.request_id
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cache-Control", "no-store")
    if not Exchange.of(request.environ).is_preliminary:
        _log_request(response)
    return response


def _log_request(response: Response) -> None:
    log.info(
        "request",
        method=request.method,
        # The route rather than the path: the path of a signed link is secret.
        route=request.url_rule.rule if request.url_rule else None,
        status=response.status_code,
        client=g.client_address,
        ms=round((time.perf_counter() - g.began) * 1000, 1),
        **({"owner": g.caller.owner} if "caller" in g else {}),
    )


def _clear_log_context(_fault: BaseException | None) -> None:
    g.log_ids.close()
