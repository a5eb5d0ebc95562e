"""Recipients over HTTP: every row of a file is tried, what stays is all of it or what is good, and nothing is lost."""

import csv
import io
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from common.db.engine import Database
from common.tables import Job, Print, Recipient
from tests.support.apis import Api, open_api
from tests.support.campaigns.recipient_files import CSV, make_campaign, put
from tests.support.campaigns.workbooks import MEDIA_TYPE, workbook

JSONL = "application/x-ndjson"


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path)


@pytest.fixture
def campaign(api: Api) -> dict[str, Any]:
    return make_campaign(api)


def approved(api: Api, csv_file: str = CSV, **fields: Any) -> dict[str, Any]:
    """Return a campaign that was approved with these recipients."""
    made = make_campaign(api, **fields)
    body = {"spec_digest": put(api, made, csv_file).json["spec_digest"]}
    done: dict[str, Any] = api.post(f"/v1/campaigns/{made['id']}/approve", json=body).json
    return done


def recipients(api: Api, made: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the values of all recipients by their ids, page by page."""
    found, cursor = {}, ""
    while True:
        page = api.get(f"/v1/campaigns/{made['id']}/recipients?limit=2{cursor}").json
        found |= {each["recipient_id"]: each["values"] for each in page["data"]}
        if not page["has_more"]:
            return found
        cursor = f"&cursor={page['next']}"


def errors_of(api: Api, made: dict[str, Any], query: str = "") -> list[list[str]]:
    answer = api.get(f"/v1/campaigns/{made['id']}/recipients/errors.csv{query}")
    assert answer.content_type == "text/csv; charset=utf-8"
    return [*csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))]


def codes(answer: Any) -> list[str]:
    return [error["code"] for error in answer.json["errors"]]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (CSV, "text/csv"),
        (CSV.replace(",", ";"), "text/csv; charset=utf-8"),
        ('[{"name": "Ada", "pet": "fox"}, {"name": "Bob", "pet": "owl"}]', "application/json"),
        ('{"name": "Ada", "pet": "fox"}\n{"name": "Bob", "pet": "owl"}\n', JSONL),
        (workbook([["name", "pet"], ["Ada", "fox"], ["Bob", "owl"]]), MEDIA_TYPE),
    ],
)
def test_every_file_format_gives_the_same_recipients(
    database: Database, tmp_path: Path, data: str | bytes, kind: str
) -> None:
    api = open_api(database, tmp_path)
    made = make_campaign(api)
    taken = put(api, made, data, kind=kind).json
    assert (taken["columns"], taken["total"], taken["accepted"], taken["rejected"]) == (["name", "pet"], 2, 2, 0)
    assert (taken["status"], taken["errors"]) == ("ready", [])
    assert recipients(api, made) == {"1": {"name": "Ada", "pet": "fox"}, "2": {"name": "Bob", "pet": "owl"}}
    assert api.get(f"/v1/campaigns/{made['id']}").json["spec_digest"] == taken["spec_digest"]
    with database.reading() as session:
        assert [session.scalar(select(func.count()).select_from(table)) for table in (Job, Print)] == [0, 0]


def test_one_bad_row_refuses_the_file_and_keeps_the_previous_rows(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    made = make_campaign(api)
    put(api, made, CSV)
    refused = put(api, made, "name,pet\nEve,cat\n,=1+1\nMax,\n")
    assert (refused.status_code, refused.json["code"], codes(refused)) == (
        422,
        "recipients_rejected",
        ["missing_value"],
    )
    assert "row 2, column name" in refused.json["errors"][0]["detail"]
    assert "1 of 3 rows" in refused.json["detail"]
    assert set(recipients(api, made)) == {"1", "2"}
    assert api.get(f"/v1/campaigns/{made['id']}").json["status"] == "ready"
    detail = "name is empty, and the template has no default for it."
    assert errors_of(api, made) == [
        ["name", "pet", "error_row", "error_code", "error_column", "error_detail"],
        ["", "'=1+1", "2", "missing_value", "name", detail],
    ]


def test_rejected_rows_can_be_corrected_and_appended(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    made = make_campaign(api)
    taken = put(api, made, "name,pet\nAda,fox\n,=1+1\nBob,owl\n,-5\n", "?on_error=skip").json
    assert (taken["accepted"], taken["rejected"], [error["row"] for error in taken["errors"]]) == (2, 2, [2, 4])
    header, *rows = errors_of(api, made)
    corrected = io.StringIO()
    csv.writer(corrected).writerows([header, *(["Eve", *row[1:]] for row in rows)])
    again = put(api, made, "\ufeff" + corrected.getvalue(), "?mode=append").json
    assert (again["accepted"], again["rejected"], again["columns"]) == (2, 0, ["name", "pet"])
    found = recipients(api, made)
    assert found["2"] == {"name": "Eve", "pet": "=1+1"}
    assert (found["4"], set(found)) == ({"name": "Eve", "pet": "-5"}, {"1", "2", "3", "4"})
    assert errors_of(api, made)[1:] == []
    assert len(errors_of(api, made, f"?list={taken['number']}")) == 3


def test_a_value_that_looks_like_a_template_is_not_expanded(api: Api, campaign: dict[str, Any]) -> None:
    put(api, campaign, "name,secret\n{{ secret }}{% if a %},hush\n")
    (shown,) = api.post(f"/v1/campaigns/{campaign['id']}/preview", json={}).json["data"]
    assert shown["prompt"] == "a card for {{ secret }}{% if a %}"


def test_an_unknown_variable_refuses_the_file_and_lists_the_columns(api: Api) -> None:
    made = make_campaign(api, template={"prompt": 'a {{ nmae | default: "x" }}'})
    for data, kind in ((CSV, "text/csv"), ('{"name": "Ada"}\n', JSONL)):
        refused = put(api, made, data, kind=kind)
        assert (refused.status_code, refused.json["code"]) == (422, "unknown_variable")
        assert "Did you mean {{ name }}?" in refused.json["detail"]
    assert api.get(f"/v1/campaigns/{made['id']}").json["status"] == "draft"


def test_identical_prompts_must_be_allowed_explicitly(api: Api) -> None:
    made = make_campaign(api, template={"prompt": "a cake"})
    assert put(api, made, CSV).json["code"] == "identical_prompts"
    assert put(api, made, "name\nAda\n").status_code == 200
    meant = make_campaign(api, template={"prompt": "a cake"}, allow_identical=True)
    assert put(api, meant, CSV).status_code == 200


def test_one_row_that_is_too_long_is_found_among_many(api: Api, campaign: dict[str, Any]) -> None:
    names = [f"name{number}" for number in range(1, 5001)]
    names[4710] = "x" * 2500
    refused = put(api, campaign, "name\n" + "\n".join(names))
    assert (refused.json["code"], codes(refused)) == ("recipients_rejected", ["too_long"])
    assert "in row 4711" in refused.json["errors"][0]["detail"]
    assert api.get(f"/v1/campaigns/{campaign['id']}/recipients").json["data"] == []


def test_at_most_fifty_errors_are_reported_at_once(api: Api, campaign: dict[str, Any]) -> None:
    refused = put(api, campaign, "name,pet\n" + ",fox\n" * 120)
    assert (len(refused.json["errors"]), len(errors_of(api, campaign))) == (50, 121)


def test_an_empty_file_and_too_many_recipients_are_refused(sqlite_database: Database, tmp_path: Path) -> None:
    api = open_api(sqlite_database, tmp_path, max_recipients=3)
    made = make_campaign(api)
    assert put(api, made, "name\n").json["code"] == "no_recipients"
    assert put(api, made, "[]", kind="application/json").status_code == 422
    assert put(api, made, "name\na\nb\nc\nd\n").json["code"] == "too_many_recipients"
    assert put(api, made, "name\na\nb\n").status_code == 200
    assert put(api, made, "name\nc\nd\n", "?mode=append").json["code"] == "too_many_recipients"
    assert put(api, made, "name\nc\n", "?mode=append").status_code == 200
    assert put(api, made, "name\na\nb\nc\n").status_code == 200


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ("", "header"),
        ('name,pet\n"Ada,fox\n', "Line 2"),
        ("name\nA\0da\n", "NUL"),
        ("name\nZo\xeb\n".encode() + b"Jos\xe9\n", "Line 3 contains bytes that are not UTF-8"),
        (",".join(f"c{number}" for number in range(10_000)), "columns"),
        (b"PK\x03\x04", "archive"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_line(
    api: Api, campaign: dict[str, Any], data: str | bytes, word: str
) -> None:
    put(api, campaign, CSV)
    refused = put(api, campaign, data)
    assert (refused.status_code, refused.json["code"]) == (422, "invalid_file")
    assert word in refused.json["detail"]
    assert set(recipients(api, campaign)) == {"1", "2"}


def test_another_charset_is_read_when_it_is_declared(api: Api, campaign: dict[str, Any]) -> None:
    put(api, campaign, "name\nJosé\n".encode("iso-8859-1"), kind="text/csv; charset=iso-8859-1")
    assert recipients(api, campaign) == {"1": {"name": "José"}}


@pytest.mark.parametrize(
    "kind",
    [
        "application/zip",
        "application/gzip",
        "text/plain",
        "multipart/form-data; boundary=x",
        "",
        "text/csv; charset=utf-7",
    ],
)
def test_unsupported_media_types_are_refused_before_the_body_is_read(
    api: Api, campaign: dict[str, Any], kind: str
) -> None:
    refused = put(api, campaign, CSV, kind=kind)
    assert (refused.status_code, refused.json["code"]) == (415, "unsupported_media_type")
    packed = put(api, campaign, CSV, headers={"Content-Encoding": "gzip"})
    assert (packed.status_code, packed.json["code"]) == (415, "content_encoding")


def test_a_file_that_is_too_large_is_refused(sqlite_database: Database, tmp_path: Path) -> None:
    api = open_api(sqlite_database, tmp_path, max_recipients_bytes=1024)
    refused = put(api, make_campaign(api), "name\n" + "Ada\n" * 500)
    assert (refused.status_code, refused.json["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("A-1", "A-1"),
        ("Ada@Example.com", "ada@example.COM"),
        ("Stra\u00dfe@example.com", "STRASSE@example.com"),
        ("\u00e9", unicodedata.normalize("NFD", "\u00e9")),
        ("x", " x "),
    ],
)
def test_a_recipient_id_must_be_unique_however_it_is_written(
    database: Database, tmp_path: Path, first: str, second: str
) -> None:
    api = open_api(database, tmp_path)
    made = make_campaign(api)
    refused = put(api, made, f"recipient_id,name\n{first},Ada\nother,Eve\n{second},Bob\n")
    assert codes(refused) == ["duplicate_recipient"]
    assert "row 1 of this file" in refused.json["errors"][0]["detail"]
    put(api, made, f"recipient_id,name\n{first},Ada\n")
    appended = put(api, made, f"recipient_id,name\n{second},Bob\n", "?mode=append")
    assert codes(appended) == ["duplicate_recipient"]
    assert "of list" in appended.json["errors"][0]["detail"]


def test_a_duplicate_recipient_thousands_of_rows_later_is_found(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    rows = "".join(f"r{number % 2500},n{number}\n" for number in range(4500))
    taken = put(api, make_campaign(api), f"recipient_id,name\n{rows}", "?on_error=skip").json
    assert (taken["accepted"], taken["rejected"], taken["errors"][0]["row"]) == (2500, 2000, 2501)


@pytest.mark.parametrize(
    ("given", "code"),
    [("", "required"), ("x" * 300, "too_long"), ("x" * 10_000, "too_long"), ("a\u0007b", "control_character")],
)
def test_a_recipient_id_must_be_short_and_plain(api: Api, campaign: dict[str, Any], given: str, code: str) -> None:
    assert codes(put(api, campaign, f"recipient_id,name\n{given},Ada\n")) == [code]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"name": ["Ada"]}, "type"),
        ({"name": "x" * 10_001}, "too_long"),
        ({"name": "A\u0000da"}, "control_character"),
        ({"name": "A\ud800da"}, "invalid_unicode"),
        ({"name": "\u200b"}, "prompt_required"),
        ({"pet": "fox"}, "missing_value"),
    ],
)
def test_a_row_that_renders_no_prompt_is_reported(
    database: Database, tmp_path: Path, row: dict[str, Any], code: str
) -> None:
    api = open_api(database, tmp_path)
    made = make_campaign(api, template={"prompt": "{{ name }}"})
    refused = put(api, made, json.dumps([{"name": "Bob"}, row]), kind="application/json")
    assert codes(refused) == [code]
    assert len(errors_of(api, made)) == 2


def test_a_prompt_that_its_values_make_invalid_is_refused(api: Api, campaign: dict[str, Any]) -> None:
    assert codes(put(api, campaign, "name\na naked child\nAda\n")) == ["prompt_rejected"]


def test_rows_appended_after_an_approval_need_their_own(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    made = approved(api)
    path = f"/v1/campaigns/{made['id']}"
    refused = put(api, made, CSV)
    assert (refused.status_code, refused.json["code"]) == (409, "invalid_state")
    supplement = put(api, made, "name\nEve\n", "?mode=append").json
    assert (supplement["status"], supplement["spec_digest"] != made["spec_digest"]) == ("approved", True)
    shown = api.get(path).json["recipients"]
    assert (shown["accepted"], shown["approved"]) == (3, 2)
    assert [each["approved_at"] is None for each in shown["lists"]] == [False, True]
    body = {"spec_digest": supplement["spec_digest"]}
    assert api.post(f"{path}/approve", json=body).json["recipients"]["approved"] == 3


def test_the_digest_of_recipients_does_not_depend_on_their_file_format(api: Api) -> None:
    made = make_campaign(api)
    lines = '{"name": "Ada", "pet": "fox"}\n{"name": "Bob", "pet": "owl"}\n'
    put(api, made, CSV)
    first = api.get(f"/v1/campaigns/{made['id']}").json["recipients"]["lists"][0]["digest"]
    put(api, made, lines, kind=JSONL)
    assert api.get(f"/v1/campaigns/{made['id']}").json["recipients"]["lists"][0]["digest"] == first


def test_a_preview_renders_a_sample_or_one_row_and_prints_nothing(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    made = make_campaign(api, images_per_recipient=2)
    put(
        api,
        made,
        "recipient_id,name\n"
        + "".join(f"r{number},name{number}\n" for number in range(30))
        + "long,Maximilian the Great\n",
    )
    path = f"/v1/campaigns/{made['id']}/preview"
    sample = api.post(path, json={"k": 4}).json["data"]
    assert sample == api.post(path, json={"k": 4}).json["data"]
    assert {"r0", "long"} <= {each["recipient_id"] for each in sample}
    assert (len(sample), [len(each["seeds"]) for each in sample]) == (4, [2] * 4)
    (one,) = api.post(path, json={"recipient_id": "r7"}).json["data"]
    assert (one["prompt"], one["recipient_id"]) == ("a card for name7", "r7")
    assert api.post(path, json={"recipient_id": "nobody"}).status_code == 404
    with database.reading() as session:
        assert [session.scalar(select(func.count()).select_from(table)) for table in (Job, Print)] == [0, 0]
        assert session.scalar(select(func.count()).select_from(Recipient)) == 31
