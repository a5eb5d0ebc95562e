"""Refused input, one row for each kind: none leaves a job, a notification or an idempotency key behind."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from sqlalchemy import func, select

from common.db import schema
from common.db.engine import Database
from common.tables import IdempotencyKey
from tests.support.apis import Api, open_api

JSON = {"Content-Type": "application/json"}
GOOD: dict[str, Any] = {"prompt": "a lighthouse"}


class Bad(NamedTuple):
    """A request to make a job, and the answer that it deserves; *body* as bytes is sent as it is."""

    row: int  # of the list of bad input in the project's notes
    body: Any
    status: int
    code: str
    pointer: str | None = None
    headers: Mapping[str, str] = MappingProxyType({})


def field(row: int, name: str, value: Any, code: str, pointer: str | None = None) -> Bad:
    return Bad(row, GOOD | {name: value}, 422, code, pointer or f"/{name}")


def raw(row: int, body: bytes | str, status: int, code: str, headers: Mapping[str, str] = JSON) -> Bad:
    return Bad(row, body.encode() if isinstance(body, str) else body, status, code, None, headers)


def fields(row: int, name: str, values: list[Any], code: str) -> list[Bad]:
    return [field(row, name, value, code) for value in values]


HTTP = [
    raw(1, json.dumps(GOOD), 415, "unsupported_media_type", {}),
    raw(1, json.dumps(GOOD), 415, "unsupported_media_type", {"Content-Type": "text/plain"}),
    raw(1, "prompt=x", 415, "unsupported_media_type", {"Content-Type": "application/x-www-form-urlencoded"}),
    raw(1, json.dumps(GOOD), 415, "unsupported_media_type", {"Content-Type": "application/json; charset=utf-16"}),
    raw(2, b" " * (256 * 1024 + 1), 413, "body_too_large"),
    raw(
        4,
        gzip.compress(json.dumps(GOOD).encode(), mtime=0),
        415,
        "content_encoding",
        JSON | {"Content-Encoding": "gzip"},
    ),
    raw(5, b"", 400, "invalid_json"),
    *[raw(5, text, 422, "object_required") for text in ("null", "[]", '"x"', "1", "true")],
    *[
        raw(6, text, 400, "invalid_json")
        for text in ('{"prompt": ', '{"prompt": "x",}', '{"prompt": "x"} // why', "{'a': 1}")
    ],
    raw(7, "[" * 100_000, 400, "json_too_deep"),
    raw(7, '{"metadata": ' * 17 + "1" + "}" * 17, 400, "json_too_deep"),
    *[
        raw(8, f'{{"prompt": "x", "guidance_scale": {text}}}', 400, "invalid_number")
        for text in ("NaN", "-Infinity", "1e999")
    ],
    raw(9, '{"prompt": "x", "steps": 10, "steps": 9999}', 400, "duplicate_key"),
    raw(10, f'{{"prompt": "x", "seed": {"9" * 10_000}}}', 400, "invalid_number"),
    raw(11, b'{"prompt": "\xff"}', 400, "invalid_unicode"),
    raw(11, '{"prompt": "x"}'.encode("utf-16"), 400, "invalid_unicode"),
    raw(11, '{"prompt": "x"}'.encode("utf-16-le"), 400, "invalid_unicode"),
    raw(11, r'{"prompt": "\ud800"}', 400, "invalid_unicode"),
    raw(11, r'{"prompt": "x", "\ud800": 1}', 400, "invalid_unicode"),
    field(12, "prompt", "a\0b", "control_character"),
    field(12, "metadata", {"note": "a\0b"}, "control_character", "/metadata/note"),
    raw(13, json.dumps(dict.fromkeys(map(str, range(20_000)), 1)), 400, "too_many_keys"),
    Bad(13, GOOD | {f"f{number}": 1 for number in range(10_000)}, 422, "unknown_field", "/f0"),
    Bad(14, {"promptt": "x", "prompt": "x"}, 422, "unknown_field", "/promptt"),
    *[field(15, name, {}, "unknown_field") for name in ("__proto__", "__class__", "constructor", "model_config")],
]

IDEMPOTENCY = [
    Bad(32, GOOD, 400, "invalid_idempotency_key", None, {"Idempotency-Key": key})
    for key in ("", "a" * 256, "a b", "\xf0\x9f\x98\x80", "a\tb", '"a', 'a"', '""')
]

GENERATION = [
    Bad(38, {}, 422, "prompt_required", "/prompt"),
    *fields(38, "prompt", ["", "   ", "\u200b\u2060", "\t\n", "\u3164", "\u202e"], "prompt_required"),
    field(39, "prompt", "x" * 2001, "too_long"),
    field(39, "negative_prompt", "x" * 2001, "too_long"),
    *fields(40, "prompt", [1, ["x"], {"x": 1}, True, None], "type"),
    *fields(43, "width", [0, -8, 7, 513, 100_000, 56, 2056], "out_of_range"),
    *fields(43, "height", [1.5, "512", True, None], "type"),
    Bad(44, GOOD | {"width": 2048, "height": 2048, "steps": 150, "num_images": 8}, 422, "cost_limit"),
    *fields(45, "steps", [0, -1, 1001, 151], "out_of_range"),
    *fields(45, "steps", [20.5, None, True, "20"], "type"),
    *fields(46, "guidance_scale", [-1, 1e6], "out_of_range"),
    *fields(46, "guidance_scale", ["7", True, None], "type"),
    *fields(47, "seed", [-1, 2**53, 2**63, 2**64], "out_of_range"),
    *fields(47, "seed", [1.0, "random", True], "type"),
    *fields(48, "num_images", [0, 9, 1000], "out_of_range"),
    *fields(
        49,
        "model",
        ["gone", "../x", "/etc", "http://x", "org/repo", "painted\n", "PAINTED", "", "x" * 10_000],
        "unknown_model",
    ),
    *fields(52, "scheduler", ["__import__('os')", "EulerDiscreteScheduler.__init__", "", 1], "enum"),
    *fields(53, "output_format", ["svg", "exe", "PNG"], "enum"),
    field(53, "quality", 101, "unknown_field"),
    *fields(55, "priority", ["urgent", 1], "enum"),
    *fields(55, "deadline_s", [0, -1, 10**9], "out_of_range"),
    *fields(55, "deadline_s", ["tomorrow", 1.5], "type"),
    field(55, "run_at", "1970-01-01T00:00:00Z", "unknown_field"),
    field(56, "metadata", {str(number): "x" for number in range(1000)}, "metadata_limit"),
    field(56, "metadata", {"a.b": "x"}, "metadata_limit", "/metadata/a.b"),
    field(56, "metadata", {"a": "x" * 513}, "metadata_limit", "/metadata/a"),
    field(56, "metadata", {"a": {"b": {"c": 1}}}, "metadata_limit"),
    *fields(56, "metadata", ["x", ["x"], None], "type"),
    *[Bad(57, GOOD | {name: "off"}, 403, "safety_not_configurable") for name in ("safety", "safety_checker")],
]


def name(case: Bad) -> str:
    return f"row {case.row}: {case.code} {str(case.body)[:40]!a}"


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An api that only ever refuses, so that one will do for all rows."""
    folder = tmp_path_factory.mktemp("api")
    database = Database(f"sqlite:///{folder / 'pressroom.db'}")
    schema.upgrade_schema(database)
    yield open_api(database, folder)
    database.close()


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path)


@pytest.mark.parametrize("case", [*HTTP, *IDEMPOTENCY, *GENERATION], ids=name)
def test_bad_input_is_refused_by_name_and_place_and_leaves_nothing_behind(untouched: Api, case: Bad) -> None:
    body = {"data": case.body} if isinstance(case.body, bytes) else {"json": case.body}
    answer = untouched.post("/v1/jobs", **body, headers={"Idempotency-Key": "k", **case.headers})
    problem = answer.json
    assert (answer.status_code, problem["code"]) == (case.status, case.code)
    assert answer.content_type == "application/problem+json"
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert problem["errors"][:1] == problem["errors"] or case.row == 13
    if case.pointer is not None:
        assert problem["errors"][0]["pointer"] == case.pointer
        assert problem["errors"][0]["code"] == case.code
    assert len(problem["errors"]) <= 50
    assert "x" * 201 not in answer.text
    assert (untouched.count_jobs(), untouched.notifier.notified, count_keys(untouched)) == (0, [], 0)


def test_a_misspelt_field_is_refused_with_a_suggestion(untouched: Api) -> None:
    problem = untouched.post("/v1/jobs", json={"promptt": "x", "prompt": "x"}).json
    assert problem["errors"] == [
        {"code": "unknown_field", "detail": "is unknown; did you mean 'prompt'?", "pointer": "/promptt"}
    ]


def test_all_errors_are_reported_in_one_response(untouched: Api) -> None:
    problem = untouched.post("/v1/jobs", json={"promptt": "x", "steps": 0, "width": "big"}).json
    assert problem["code"] == "invalid_request"
    assert {fault["pointer"] for fault in problem["errors"]} == {"/prompt", "/promptt", "/steps", "/width"}


def test_a_syntax_error_is_reported_with_its_offset(untouched: Api) -> None:
    assert "offset 10" in untouched.post("/v1/jobs", data=b'{"prompt":}', headers=JSON).json["detail"]


def test_the_cost_of_a_job_that_is_too_large_is_reported(untouched: Api) -> None:
    answer = untouched.post("/v1/jobs", json=GOOD | {"width": 2048, "height": 2048, "steps": 150, "num_images": 8})
    assert str(2048 * 2048 * 150 * 8) in answer.json["detail"]


@pytest.mark.parametrize(
    "query", ["limit=1&limit=2", "limit=-1", "limit=0", "limit=101", "limit=1e9", "limit=１２", "limit=+1", "limit=1_0",
              "limit=", "status=gone", "colour=red"],
)  # fmt: skip
def test_bad_query_parameters_are_refused(untouched: Api, query: str) -> None:
    answer = untouched.get(f"/v1/jobs?{query}")
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_parameter")
    assert answer.json["errors"][0]["parameter"] == query.partition("=")[0]


@pytest.mark.parametrize("time", ["yesterday", "0", "2026-13-01T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00"])
def test_bad_times_are_refused(untouched: Api, time: str) -> None:
    assert untouched.get("/v1/usage", query_string={"from": time}).json["code"] == "invalid_parameter"


@pytest.mark.parametrize(
    "path", ["/v1/job", "/v1/jobs/", "//v1/jobs", "/v1//jobs", "/%2e%2e/v1/jobs", "/v1/jobs/%2e%2e"]
)
def test_unknown_paths_are_not_found(untouched: Api, path: str) -> None:
    answer = untouched.get(path)
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_a_wrong_method_is_answered_with_the_allowed_ones(untouched: Api) -> None:
    answer = untouched.call("DELETE", "/v1/jobs")
    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize("accept", ["text/html", "image/*", "nonsense"])
def test_errors_are_json_whatever_the_accept_header_says(untouched: Api, accept: str) -> None:
    assert untouched.get("/v1/jobs", headers={"Accept": accept}).content_type == "application/json"


def test_forged_hosts_and_addresses_change_no_link(api: Api) -> None:
    job_id, _ = api.print_job()
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-For": "10.0.0.1"}
    assert "evil" not in api.get(f"/v1/jobs/{job_id}", headers=forged).text


@pytest.mark.parametrize("request_id", ["a b", "x" * 65, "a\tb", "é", ""])
def test_an_invalid_request_id_is_replaced(untouched: Api, request_id: str) -> None:
    assert untouched.get("/healthz", headers={"X-Request-Id": request_id}).headers["X-Request-Id"] != request_id


def test_a_valid_request_id_is_kept(untouched: Api) -> None:
    assert untouched.get("/healthz", headers={"X-Request-Id": "my-id.1"}).headers["X-Request-Id"] == "my-id.1"


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Basic YTpi", "Bearer", "Bearer ", "Bearer x", "Bearer prk_", "Bearer é", "Bearer " + "x" * 8000,
     "Bearer prk_AAAAAAAA_" + "A" * 43, "{0}, {0}", "{0} ", "{0}x", "Token {0}"],
)  # fmt: skip
def test_every_invalid_key_gets_the_same_401(untouched: Api, authorization: str | None) -> None:
    given = {} if authorization is None else {"Authorization": authorization.format(f"Bearer {untouched.key}")}
    answer = untouched.get("/v1/jobs", key=None, headers=given)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    expected = untouched.get("/v1/jobs", key=None).json
    assert {**answer.json, "request_id": ""} == {**expected, "request_id": ""}


def test_a_key_in_the_query_string_is_ignored_and_not_logged(untouched: Api, capfd: pytest.CaptureFixture[str]) -> None:
    assert untouched.get(f"/v1/jobs?api_key={untouched.key}", key=None).status_code == 401
    assert untouched.key not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "job_id", ["1", "x" * 10_000, "{0}x", "{{{0}}}", "1 OR 1=1", "%00", "..", "urn:uuid:{0}", "{1}", "{2}"]
)
def test_a_malformed_id_is_not_found(api: Api, job_id: str) -> None:
    known = api.make_job()["id"]
    spelled = job_id.format(known, known.upper(), known.replace("-", ""))
    answer = api.get(f"/v1/jobs/{spelled}")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def count_keys(api: Api) -> int:
    with api.database.reading() as session:
        return session.scalar(select(func.count()).select_from(IdempotencyKey)) or 0
