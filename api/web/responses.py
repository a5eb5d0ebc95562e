"""How a route is described in the OpenAPI document, and how its answer is put together."""

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
from common.keys import Scope

SECURITY_SCHEME = "key"
PROBLEM: dict[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}

EVERYWHERE = (500, 503)
WITH_KEY = (401, 403)

Success = Mapping[int, type[BaseModel] | dict[str, Any] | None]


def describe(scope: Scope | None, success: Success, *problems: int) -> dict[str, Any]:
    """Return what the OpenAPI document says of a route: who may call it, what it answers, and what may go wrong."""
    statuses = {*problems, *EVERYWHERE, *(WITH_KEY if scope else ())}
    responses: dict[int | str, Any] = {}
    responses.update(success.items())
    responses |= {status: _describe_problem(status) for status in sorted(statuses)}
    responses["default"] = {"description": "Another problem", "content": PROBLEM}
    return {"responses": responses, "security": [{SECURITY_SCHEME: [scope.value]}] if scope else []}


def describe_success(model: type[BaseModel], description: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the description of an answer that carries *headers*, each with its meaning."""
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}},
        "headers": {name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in headers.items()},
    }


def create_blueprint(name: str, description: str, url_prefix: str | None) -> APIBlueprint:
    """Return the blueprint of one resource; each view's function gives the operation its id."""
    return APIBlueprint(
        name,
        __name__,
        url_prefix=url_prefix,
        abp_tags=[Tag(name=name, description=description)],
        operation_id_callback=lambda *, name, path, method: name,
    )


def answer(body: Output, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return *body* as JSON."""
    response = Response(body.model_dump_json(by_alias=True), status, content_type="application/json")
    response.headers.update(headers or {})
    return response


def answer_if_changed(body: Output, version: str) -> Response:
    """Return *body* under an ETag made of *version*, or 304 to a client that has it."""
    response = answer(body, headers={"Cache-Control": "private, no-cache"})
    response.set_etag(hashlib.sha256(version.encode()).hexdigest()[:32], weak=True)
    response.make_conditional(request)
    return response


def _describe_problem(status: int) -> dict[str, Any]:
    codes = [code for code, kind in PROBLEMS.items() if kind.status == status]
    return {"description": "; ".join(f"`{code}`" for code in codes), "content": PROBLEM}
