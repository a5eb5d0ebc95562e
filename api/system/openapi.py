"""Serve the OpenAPI document and its pages: ``/openapi.json``, ``/docs`` and ``/docs/errors``."""

from functools import cached_property
from html import escape
from pathlib import Path
from string import Template
from threading import Lock
from typing import Any

from flask import Response, current_app, request, send_from_directory
from flask_openapi.models.info import Info
from flask_openapi.models.security_scheme import SecurityScheme
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.auth.bearer import scope_required
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
        "Asynchronous image generation: a job is accepted immediately, run by a press, checked for safety, marked as "
        "generated and charged. "
        "Errors are `application/problem+json` (RFC 9457); rely on their `code`."
    ),
)
SECURITY_SCHEMES: dict[str, SecurityScheme | dict[str, Any]] = {
    responses.SECURITY_SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, created with `pressroom keys create`. Each operation lists the scope it requires.",
    }
}

STATIC = Path(__file__).parents[1] / "static"
SWAGGER_UI = "swagger-ui-dist@5.35.0"
CONTENT_SECURITY_POLICY = (
    # Swagger UI sets inline styles; no other server is contacted.
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def install(app: OpenAPI) -> None:
    """Register the OpenAPI document and the documentation pages on *app*."""
    app.openapi_version = OPENAPI_VERSION
    app.add_url_rule("/openapi.json", "openapi", _serve_document, methods=["GET"])
    app.add_url_rule("/docs", "docs", _serve_swagger_ui, methods=["GET"])
    app.add_url_rule("/docs/errors", "errors", _serve_errors_page, methods=["GET"])
    app.add_url_rule("/docs/assets/<path:name>", "assets", _serve_asset, methods=["GET"])
    app.extensions[DOCUMENT] = Document(app)


class Document:
    """The OpenAPI document of an app, built on first use."""

    def __init__(self, app: OpenAPI) -> None:
        self._app = app
        self._lock = Lock()
        self._content: dict[str, Any] | None = None

    def read(self) -> dict[str, Any]:
        """Return the document."""
        with self._lock:
            if self._content is None:
                self._content = build_document(self._app)
            return self._content

    @cached_property
    def encoded(self) -> str:
        """Return the document as JSON; encoded once, because anybody may ask for it."""
        return self._app.json.dumps(self.read())


def build_document(app: OpenAPI) -> dict[str, Any]:
    """Return the OpenAPI document of *app*."""
    document: dict[str, Any] = app.api_doc
    # The library drops unknown schema keywords, so pydantic's own schemas replace its schemas.
    document["components"]["schemas"] = _collect_schemas()
    for path in document["paths"].values():
        for operation in path.values():
            _tidy_operation(operation)
    return document


def _collect_schemas() -> dict[str, Any]:
    inputs: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in _list_leaf_models(Body)]
    outputs: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "serialization") for model in _list_leaf_models(Output)
    ]
    _, found = models_json_schema([*inputs, *outputs], ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = found["$defs"]
    return dict(sorted(schemas.items()))


def _list_leaf_models(root: type[BaseModel]) -> list[type[BaseModel]]:
    found = [leaf for model in root.__subclasses__() for leaf in (_list_leaf_models(model) or [model])]
    return sorted(found, key=lambda model: model.__name__)


def _tidy_operation(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        for described in (parameter, parameter["schema"]):
            described.pop("title", None)
    if operation.get("deprecated") is False:
        del operation["deprecated"]
    if not operation.get("security"):
        operation["security"] = []


@scope_required(None)
def _serve_document() -> Response:
    """Return the OpenAPI document."""
    response = Response(current_app.extensions[DOCUMENT].encoded, content_type="application/json")
    response.add_etag()
    response.make_conditional(request)
    return response


@scope_required(None)
def _serve_swagger_ui() -> Response:
    """Return the API reference page."""
    return _serve_html("docs.html")


@scope_required(None)
def _serve_errors_page() -> Response:
    """Return the page of error codes, which a problem's ``type`` links to."""
    rows = (
        f'<tr id="{code}"><td><code>{code}</code></td><td>{kind.status}</td><td>{escape(kind.title)}</td></tr>'
        for code, kind in PROBLEMS.items()
    )
    return _serve_html("errors.html", rows="\n".join(rows))


@scope_required(None)
def _serve_asset(name: str) -> Response:
    """Return a static file of the documentation pages."""
    response = send_from_directory(STATIC, name, max_age=3600)
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


def _serve_html(name: str, **parts: str) -> Response:
    page = Template((STATIC / name).read_text(encoding="utf-8")).substitute(ui=SWAGGER_UI, **parts)
    response = Response(page, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response
