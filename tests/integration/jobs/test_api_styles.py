"""Styles over HTTP: made, never changed, and worn by jobs, which keep what they say themselves."""

from pathlib import Path
from typing import Any

import pytest

from common.access.keys import Scope
from common.db.engine import Database
from tests.support.apis import Api, open_api

BIRTHDAY = {
    "name": "birthday",
    "prompt_prefix": "a watercolour of",
    "prompt_suffix": ", soft light",
    "negative_prompt": "fog",
    "model": "painted",
    "width": 128,
    "steps": 7,
    "scheduler": "euler",
    "output_format": "webp",
    "palette": ["#FF8800", "#ffffff"],
}


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path)


def make(api: Api, status: int = 201, **changes: Any) -> dict[str, Any]:
    answer = api.post("/v1/styles", json=BIRTHDAY | changes)
    assert answer.status_code == status, answer.text
    return answer.json


def faults(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {fault["pointer"]: fault["code"] for fault in answer.json["errors"]}


def test_a_style_is_created_and_shown_under_its_name_and_version(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    made = make(api)
    assert (made["reference"], made["palette"], made["height"]) == ("birthday@1", ["#ff8800", "#ffffff"], None)
    assert api.get("/v1/styles/birthday").json == api.get("/v1/styles/birthday@1").json == made


def test_reusing_a_name_creates_the_next_version_and_keeps_the_first(api: Api) -> None:
    first, second = make(api), make(api, steps=9)
    assert (second["reference"], second["steps"]) == ("birthday@2", 9)
    assert api.get("/v1/styles/birthday@1").json == first
    assert api.get("/v1/styles/birthday").json == second
    assert make(api, status=200, steps=9) == second
    assert [style["version"] for style in api.get("/v1/styles/birthday/versions").json["data"]] == [2, 1]


def test_styles_are_listed_page_by_page(api: Api) -> None:
    for name in ("c", "a", "b"):
        make(api, name=name)
    page = api.get("/v1/styles?limit=2").json
    assert [style["name"] for style in page["data"]] == ["a", "b"]
    rest = api.get(f"/v1/styles?limit=2&cursor={page['next']}").json
    assert ([style["name"] for style in rest["data"]], rest["has_more"]) == (["c"], False)
    assert api.get("/v1/styles?cursor=x").json["code"] == "invalid_cursor"


def test_a_job_uses_a_style_and_keeps_its_own_fields(api: Api) -> None:
    make(api)
    job = api.make_job(prompt="a fox", style="birthday", steps=3)
    asked = job["request"]
    assert asked["prompt"] == "a watercolour of a fox, soft light"
    assert (asked["width"], asked["height"], asked["steps"], asked["output_format"]) == (128, 512, 3, "webp")
    assert (asked["negative_prompt"], asked["scheduler"]) == ("fog", "euler")
    assert (job["style"], job["palette"]) == ("birthday@1", ["#ff8800", "#ffffff"])
    make(api, steps=9)
    assert api.make_job(style="birthday")["request"]["steps"] == 9
    assert api.make_job(style="birthday@1")["style"] == "birthday@1"
    assert api.make_job(palette=["#000000"], style="birthday")["palette"] == ["#000000"]


def test_a_job_without_style_has_none(api: Api) -> None:
    job = api.make_job()
    assert (job["style"], job["palette"]) == (None, [])


def test_adapters_of_a_style_are_checked_like_a_jobs_own(api: Api) -> None:
    answer = api.post("/v1/styles", json=BIRTHDAY | {"adapters": [{"name": "glow"}]})
    assert faults(answer) == {"/adapters/0/name": "unknown_adapter"}
    body = {name: value for name, value in BIRTHDAY.items() if name != "model"}
    assert api.post("/v1/styles", json=body | {"adapters": [{"name": "glow"}]}).status_code == 201
    worn = api.post("/v1/jobs", json={"prompt": "a fox", "style": "birthday"})
    assert faults(worn) == {"/adapters/0/name": "unknown_adapter"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"steps": 151}, {"/steps": "out_of_range"}),
        ({"model": "nothing"}, {"/model": "unknown_model"}),
        ({"name": "Birth day"}, {"/name": "type"}),
        ({"palette": ["red"]}, {"/palette/0": "type"}),
        ({"palette": ["#000000"] * 9}, {"/palette": "too_long"}),
        ({"seed": 7}, {"/seed": "unknown_field"}),
        ({"prompt_prefix": "x" * 1001}, {"/prompt_prefix": "too_long"}),
    ],
)
def test_an_unusable_style_is_refused_at_creation(api: Api, changes: dict[str, Any], expected: dict[str, str]) -> None:
    assert faults(api.post("/v1/styles", json=BIRTHDAY | changes)) == expected
    assert api.get("/v1/styles").json["data"] == []


@pytest.mark.parametrize("reference", ["nothing", "birthday@2", "birthday@0", "../x", "", "Birthday"])
def test_a_job_that_names_an_unknown_style_is_refused(api: Api, reference: str) -> None:
    make(api)
    assert faults(api.post("/v1/jobs", json={"prompt": "a fox", "style": reference})) == {"/style": "unknown_style"}
    stranger = api.make_key("eve")
    answer = api.post("/v1/jobs", json={"prompt": "a fox", "style": "birthday"}, key=stranger)
    assert faults(answer) == {"/style": "unknown_style"}
    assert api.get("/v1/styles/birthday", key=stranger).json["code"] == "not_found"
    assert api.get("/v1/styles/birthday/versions", key=stranger).json["code"] == "not_found"


def test_a_prompt_combined_with_its_style_must_not_be_too_long(api: Api) -> None:
    make(api, prompt_prefix="x" * 1000)
    answer = api.post("/v1/jobs", json={"prompt": "y" * 1500, "style": "birthday"})
    assert faults(answer) == {"/prompt": "too_long"}


def test_styles_require_their_own_scopes(api: Api) -> None:
    key = api.make_key("ada", (Scope.STYLES_READ,))
    assert api.get("/v1/styles", key=key).status_code == 200
    assert api.post("/v1/styles", json=BIRTHDAY, key=key).json["code"] == "insufficient_scope"
