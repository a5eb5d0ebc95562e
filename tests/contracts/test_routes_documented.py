"""The OpenAPI document is valid, describes every route under /v1 as it is, and is the one that is committed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.auth import bearer
from api.web import responses
from api.web.problems import PROBLEMS
from common.db.engine import Database
from tests.support.apis import Api, open_api

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path)


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    answer = api.get("/openapi.json", key=None)
    assert isinstance(answer.json, dict)
    return answer.json


def views(api: Api) -> Iterator[tuple[str, str, Any]]:
    """Yield path, method and view of every route."""
    for rule in api.app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            yield path, method.lower(), api.app.view_functions[rule.endpoint]


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()  # type: ignore[arg-type]  # plain JSON will do


def test_the_committed_document_is_the_one_that_is_served(document: dict[str, Any]) -> None:
    committed = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
    assert committed == document, "run `python -m tests.contracts.write_openapi`"


def test_every_view_says_who_may_call_it_and_the_document_agrees(api: Api, document: dict[str, Any]) -> None:
    for path, method, view in views(api):
        scope = bearer.get_view_scope(view)
        assert scope is not None or not path.startswith("/v1"), path
        if path in document["paths"]:
            expected = [{responses.SECURITY_SCHEME: [scope.value]}] if scope else []
            assert document["paths"][path][method]["security"] == expected, path


def test_every_route_but_the_pages_is_documented(api: Api, document: dict[str, Any]) -> None:
    documented = {(path, method) for path, item in document["paths"].items() for method in item}
    served = {(path, method) for path, method, _ in views(api) if not path.startswith("/console")}
    pages = {"/", "/openapi.json", "/docs", "/docs/errors", "/docs/assets/{name}"}
    assert served == documented | {(path, "get") for path in pages}


def test_every_error_is_described_as_a_problem(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if status == "default" or (int(status) >= 400 and path != "/readyz"):
                    assert list(response["content"]) == ["application/problem+json"], path


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    for reference in _references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place


def test_the_page_of_errors_names_every_code_with_its_status() -> None:
    page = (DOCS / "errors.md").read_text(encoding="utf-8").partition("## Errors of a job")[0]
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    listed = {row[1].strip().strip("`"): (int(row[2]), row[3].strip()) for row in rows}
    assert listed == {code: (kind.status, kind.title) for code, kind in PROBLEMS.items()}


def test_the_documentation_pages_load_nothing_from_other_hosts(api: Api) -> None:
    for path in ("/docs", "/docs/errors"):
        answer = api.get(path, key=None)
        assert answer.status_code == 200
        assert "://" not in answer.text
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for part in ("vendor/swagger-ui-dist@5.35.0/swagger-ui.css", "docs.js"):
        assert api.get(f"/docs/assets/{part}", key=None, buffered=True).status_code == 200
        assert part in api.get("/docs", key=None).text


@pytest.mark.parametrize("name", ["../app.py", "%2e%2e/app.py", "vendor/../../app.py", "gone.js"])
def test_nothing_else_is_served_as_an_asset(api: Api, name: str) -> None:
    assert api.get(f"/docs/assets/{name}", key=None).status_code == 404


def test_an_error_leads_to_its_entry_on_the_page(api: Api) -> None:
    kind = api.get("/v1/jobs", key=None).json["type"]
    assert kind == "http://127.0.0.1:8000/docs/errors#unauthorized"
    assert 'id="unauthorized"' in api.get("/docs/errors", key=None).text


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
