"""Answer ``GET /``: browsers go on to the console, other clients get links."""

from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from api.auth.bearer import scope_required
from api.runtime.context import current_context
from api.system.openapi import API_VERSION
from api.web.output import Output
from api.web.responses import respond_json

PAGES = {"console": "/console/", "documentation": "/docs", "openapi": "/openapi.json", "health": "/readyz"}
JSON, HTML = "application/json", "text/html"


class Entry(Output):
    """Where to go from here."""

    name: str = "Pressroom"
    api_version: str = API_VERSION
    console: str
    documentation: str
    openapi: str
    health: str


def install(app: Flask) -> None:
    """Register the entry page on *app*."""
    app.add_url_rule("/", "entry", _serve_entry, methods=["GET"])


@scope_required(None)
def _serve_entry() -> AnyResponse:
    """Redirect to the console if HTML is wanted rather than JSON; return links otherwise."""
    context = current_context()
    if request.accept_mimetypes.best_match([JSON, HTML]) == HTML:
        answer: AnyResponse = redirect(f"{context.path_prefix}{PAGES['console']}", 303)
    else:
        answer = _send_links(context.settings.base_url)
    answer.headers["Vary"] = "Accept"
    return answer


def _send_links(base_url: str) -> Response:
    return respond_json(Entry(**{name: f"{base_url}{path}" for name, path in PAGES.items()}))
