"""``/openapi.json``, ``/docs`` and ``/docs/errors``: the api for machines and people, from this server alone."""

from html import escape
from pathlib import Path
from string import Template
from threading import Lock
from typing import Any

from flask import Response, current_app, jsonify, send_from_directory
from flask_openapi.models.info import Info
from flask_openapi.models.security_scheme import SecurityScheme
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.auth.bearer import needs
from api.web import responses
from api.web.output import Output
from api.web.problems import PROBLEMS
from api.web.validation import Body

OPENAPI_VERSION = "3.1.0"
API_VERSION = "1.0.0"
DOCUMENT = "pressroom_document"

INFO = Info(
    title="Pressroom",
    version=API_VERSION,
    description=(
        "Images to order: a job is accepted at once, printed by a press, checked, marked and costed. "
        "Errors are `application/problem+json` (RFC 9457); rely on their `code`."
    ),
)
SECURITY_SCHEMES: dict[str, SecurityScheme | dict[str, Any]] = {
    responses.SECURITY_SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, made by `pressroom keys create`; the names behind a route are scopes.",
    }
}

STATIC = Path(__file__).parents[1] / "static"
SWAGGER_UI = "swagger-ui-dist@5.35.0"
CONTENT_SECURITY_POLICY = (
    # Swagger UI sets styles inline; nothing else than this server is asked for anything.
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def install(app: OpenAPI) -> None:
    """Add the document and the pages to *app*."""
    app.openapi_version = OPENAPI_VERSION
    app.add_url_rule("/openapi.json", "openapi", _show_document, methods=["GET"])
    app.add_url_rule("/docs", "docs", _show_page, methods=["GET"])
    app.add_url_rule("/docs/errors", "errors", _show_errors, methods=["GET"])
    app.add_url_rule("/docs/assets/<path:name>", "assets", _show_asset, methods=["GET"])
    app.extensions[DOCUMENT] = Document(app)


class Document:
    """The OpenAPI document of an app, put together when it is first asked for."""

    def __init__(self, app: OpenAPI) -> None:
        self._app = app
        self._lock = Lock()
        self._content: dict[str, Any] | None = None

    def read(self) -> dict[str, Any]:
        """Return the document."""
        with self._lock:
            if self._content is None:
                self._content = describe(self._app)
            return self._content


def describe(app: OpenAPI) -> dict[str, Any]:
    """Return the OpenAPI document of *app*."""
    document: dict[str, Any] = app.api_doc
    # The library's schema type drops keywords that it does not know, so pydantic's own schemas take their place.
    document["components"]["schemas"] = _collect_schemas()
    for path in document["paths"].values():
        for operation in path.values():
            _tidy(operation)
    return document


def _collect_schemas() -> dict[str, Any]:
    inputs: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in _leaves(Body)]
    outputs: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "serialization") for model in _leaves(Output)]
    _, found = models_json_schema([*inputs, *outputs], ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = found["$defs"]
    return dict(sorted(schemas.items()))


def _leaves(root: type[BaseModel]) -> list[type[BaseModel]]:
    found = [leaf for model in root.__subclasses__() for leaf in (_leaves(model) or [model])]
    return sorted(found, key=lambda model: model.__name__)


def _tidy(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        for described in (parameter, parameter["schema"]):
            described.pop("title", None)
    if operation.get("deprecated") is False:
        del operation["deprecated"]
    if not operation.get("security"):
        operation["security"] = []


@needs(None)
def _show_document() -> Response:
    """Answer with the OpenAPI document."""
    return jsonify(current_app.extensions[DOCUMENT].read())


@needs(None)
def _show_page() -> Response:
    """Answer with the page that shows the document."""
    return _show_html("docs.html")


@needs(None)
def _show_errors() -> Response:
    """Answer with the page that a problem's ``type`` leads to."""
    rows = (
        f'<tr id="{code}"><td><code>{code}</code></td><td>{kind.status}</td><td>{escape(kind.title)}</td></tr>'
        for code, kind in PROBLEMS.items()
    )
    return _show_html("errors.html", rows="\n".join(rows))


@needs(None)
def _show_asset(name: str) -> Response:
    """Answer with a file of the pages."""
    response = send_from_directory(STATIC, name, max_age=3600)
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


def _show_html(name: str, **parts: str) -> Response:
    page = Template((STATIC / name).read_text(encoding="utf-8")).substitute(ui=SWAGGER_UI, **parts)
    response = Response(page, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response
