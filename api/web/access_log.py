"""One line a request, under the id that its answer carries; no query strings, bodies, keys or links."""

import re
import time
from contextlib import ExitStack

from flask import Flask, Response, g, request

from common.ids import new_id
from common.logs import bound, get_logger

HEADER = "X-Request-Id"
SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")

logger = get_logger(__name__)


def install(app: Flask) -> None:
    """Have every request of *app* numbered and logged."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def _begin() -> None:
    given = request.headers.get(HEADER, "")
    g.request_id = given if SANE.fullmatch(given) else new_id().hex
    g.began = time.perf_counter()
    g.log_ids = ExitStack()
    g.log_ids.enter_context(bound(request_id=g.request_id))


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.request_id
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cache-Control", "no-store")
    logger.info(
        "request",
        method=request.method,
        # The route, not the path: a link's path is its secret.
        route=request.url_rule.rule if request.url_rule else None,
        status=response.status_code,
        ms=round((time.perf_counter() - g.began) * 1000, 1),
        **({"owner": g.caller.owner} if "caller" in g else {}),
    )
    return response


def _forget(_fault: BaseException | None) -> None:
    g.log_ids.close()
