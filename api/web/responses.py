"""Helpers to describe routes in the OpenAPI document and to build their responses."""

import hashlib
from collections.abc import Mapping
from typing import Any

from flask import Response, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag
from pydantic import BaseModel

from api.web.errors import MEDIA_TYPE
from api.web.output import Output
from api.web.problems import PROBLEMS
from common.access.keys import Scope

SECURITY_SCHEME = "key"
PROBLEM: dict[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}

COMMON_STATUSES = (500, 503)
KEY_STATUSES = (401, 403)

Success = Mapping[int, type[BaseModel] | dict[str, Any] | None]


def describe_route(scope: Scope | None, success: Success, *problems: int) -> dict[str, Any]:
    """Return the OpenAPI description of a route: its scope, its responses and its problems."""
    statuses = {*problems, *COMMON_STATUSES, *(KEY_STATUSES if scope else ())}
    responses: dict[int | str, Any] = {}
    responses.update(success.items())
    responses |= {status: _describe_problem(status) for status in sorted(statuses)}
    responses["default"] = {"description": "Unexpected problem", "content": PROBLEM}
    return {"responses": responses, "security": [{SECURITY_SCHEME: [scope.value]}] if scope else []}


def describe_success(model: type[BaseModel], description: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the OpenAPI description of a response with *headers*, a mapping of names to descriptions."""
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}},
        "headers": {name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in headers.items()},
    }


def create_blueprint(name: str, description: str, url_prefix: str | None) -> APIBlueprint:
    """Return the blueprint of one resource; operation IDs are the names of the view functions."""
    return APIBlueprint(
        name,
        __name__,
        url_prefix=url_prefix,
        abp_tags=[Tag(name=name, description=description)],
        operation_id_callback=lambda *, name, path, method: name,
    )


def respond_json(body: Output, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return *body* as JSON."""
    response = Response(body.model_dump_json(by_alias=True), status, content_type="application/json")
    response.headers.update(headers or {})
    return response


def respond_json_if_changed(body: Output, version: str) -> Response:
    """Return *body* with an ETag derived from *version*, or 304 if the client has that version."""
    response = respond_json(body, headers={"Cache-Control": "private, no-cache"})
    response.set_etag(hashlib.sha256(version.encode()).hexdigest()[:32], weak=True)
    response.make_conditional(request)
    return response


def _describe_problem(status: int) -> dict[str, Any]:
    codes = [code for code, kind in PROBLEMS.items() if kind.status == status]
    return {"description": "; ".join(f"`{code}`" for code in codes), "content": PROBLEM}
