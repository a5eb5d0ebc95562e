"""Lists of recipients as people's programs write them: what is accepted, and what the receipt says of it."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from common.db.engine import Database
from tests.support.apis import Api, open_api
from tests.support.campaigns.recipient_files import make_campaign, put
from tests.support.campaigns.workbooks import MEDIA_TYPE, Styled, workbook


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path)


def read_results(api: Api, made: dict[str, Any]) -> list[dict[str, str]]:
    text = api.get(f"/v1/campaigns/{made['id']}/results.csv").text.removeprefix("\ufeff")
    return [*csv.DictReader(io.StringIO(text))]


def list_ids(api: Api, made: dict[str, Any]) -> list[str]:
    return [each["recipient_id"] for each in api.get(f"/v1/campaigns/{made['id']}/recipients").json["data"]]


def preview(api: Api, made: dict[str, Any]) -> list[str]:
    return [each["prompt"] for each in api.post(f"/v1/campaigns/{made['id']}/preview", json={}).json["data"]]


@pytest.mark.parametrize("placeholder", ["{{ first_name }}", "{{ ['First Name'] }}"])
def test_a_heading_with_spaces_is_named_in_templates_as_the_receipt_says(api: Api, placeholder: str) -> None:
    made = make_campaign(api, template={"prompt": f"a card for {placeholder}"})
    receipt = put(api, made, "First Name,Lieblings-\u00fcbung\nAda,yoga\n").json
    assert receipt["columns"] == ["First Name", "Lieblings-\u00fcbung"]
    assert receipt["placeholders"] == {"First Name": "first_name", "Lieblings-\u00fcbung": "Lieblings-\u00fcbung"}
    assert preview(api, made) == ["a card for Ada"]


@pytest.mark.parametrize("placeholder", ["{{ contact.name }}", "{{ contact_name }}"])
def test_a_heading_with_a_dot_is_named_with_it_or_with_an_underscore(api: Api, placeholder: str) -> None:
    made = make_campaign(api, template={"prompt": f"a card for {placeholder}"})
    assert put(api, made, "contact.name,City\nAda,Paris\n").status_code == 200
    assert preview(api, made) == ["a card for Ada"]


def test_an_empty_value_names_the_heading_not_the_placeholder(api: Api) -> None:
    made = make_campaign(api, template={"prompt": "a card for {{ first_name }}"})
    refused = put(api, made, "First Name,City\n,Paris\n").json
    assert "row 1, column First Name" in refused["errors"][0]["detail"]


def test_columns_without_a_name_or_called_the_same_do_not_refuse_a_file(api: Api) -> None:
    made = make_campaign(api)
    receipt = put(api, made, "name,Phone,,Phone\nAda,1,2,3\n").json
    assert receipt["columns"] == ["name", "Phone", "Column 3", "Phone 2"]
    assert read_results(api, made)[0]["Phone 2"] == "3"


def test_ids_that_differ_in_case_are_different_unless_they_are_addresses(api: Api) -> None:
    made = make_campaign(api)
    put(api, made, "recipient_id,name\n0015g00000AbCdE,Ada\n0015g00000aBcDe,Ben\n")
    assert list_ids(api, made) == ["0015g00000AbCdE", "0015g00000aBcDe"]
    (one,) = api.post(f"/v1/campaigns/{made['id']}/preview", json={"recipient_id": "0015g00000aBcDe"}).json["data"]
    assert one["prompt"] == "a card for Ben"
    refused = put(api, made, "recipient_id,name\nada@example.com,Ada\nADA@example.com,Ben\n").json
    assert refused["errors"][0]["code"] == "duplicate_recipient"


def test_any_column_can_be_the_id_and_the_lists_that_follow_use_the_same(api: Api) -> None:
    made = make_campaign(api)
    receipt = put(api, made, "E-Mail,name\nada@example.com,Ada\nben@example.com,\n", "?id_column=E-Mail&on_error=skip")
    assert (receipt.json["id_column"], receipt.json["accepted"]) == ("E-Mail", 1)
    errors = api.get(f"/v1/campaigns/{made['id']}/recipients/errors.csv").text
    again = put(api, made, errors.replace(",,", ",Ben,"), "?mode=append")
    assert again.json["accepted"] == 1, again.json
    assert list_ids(api, made) == ["ada@example.com", "ben@example.com"]
    repeated = put(api, made, "E-Mail,name\nADA@example.com,Ada\n", "?mode=append").json
    assert repeated["errors"][0]["detail"].startswith("in row 1, column E-Mail: The recipient 'ADA@example.com'")
    assert api.call("PATCH", f"/v1/campaigns/{made['id']}", json={"template": {"prompt": "a kite for {{ name }}"}}).json
    assert list_ids(api, made) == ["ada@example.com", "ben@example.com"]
    assert api.call("DELETE", f"/v1/campaigns/{made['id']}/recipients/Ada@example.com").status_code == 200
    assert "ada@example.com" not in list_ids(api, made)


def test_a_file_without_the_column_asked_for_as_the_id_is_refused(api: Api) -> None:
    made = make_campaign(api)
    for data, kind in (("name\nAda\n", "text/csv"), ('[{"name": "Ada"}]', "application/json")):
        refused = put(api, made, data, "?id_column=email", kind=kind)
        assert (refused.status_code, refused.json["code"]) == (422, "unknown_id_column")
        assert "no column 'email' for the id. Its columns: name." in refused.json["detail"]


def test_the_results_have_the_columns_of_the_list(api: Api) -> None:
    made = make_campaign(api)
    put(api, made, "email,name,status\nada@example.com,Ada,=new\n", "?id_column=email")
    (row,) = read_results(api, made)
    assert (row["recipient_id"], row["email"], row["name"]) == ("ada@example.com", "ada@example.com", "Ada")
    assert (row["status"], row["status (list)"]) == ("unapproved", "'=new")
    line = json.loads(api.get(f"/v1/campaigns/{made['id']}/results.jsonl").text)
    assert line["values"] == {"email": "ada@example.com", "name": "Ada", "status": "=new"}


def test_no_two_columns_of_the_results_have_one_name(api: Api) -> None:
    made = make_campaign(api)
    put(api, made, "name,status,status (list)\nAda,first,second\n")
    (row,) = read_results(api, made)
    assert [row[name] for name in ("status", "status (list)", "status (list 2)")] == ["unapproved", "second", "first"]


def test_the_receipt_says_how_a_text_was_read(api: Api) -> None:
    made = make_campaign(api)
    receipt = put(api, made, "\n\nrecipient_id;name\n1;M\u00fcller\n".encode("cp1252")).json
    assert receipt["reading"] == {
        "encoding": "windows-1252",
        "encoding_guessed": True,
        "separator": ";",
        "sheet": None,
        "header_row": 3,
        "hidden_rows": 0,
        "nested_columns": [],
    }
    assert len(receipt["notes"]) == 4
    assert preview(api, made) == ["a card for M\u00fcller"]


def test_a_declared_charset_is_read_and_an_unknown_one_is_answered_with_those_that_are(api: Api) -> None:
    made = make_campaign(api)
    data = "recipient_id,name\n1,\u0141\u00f3d\u017a\n".encode("windows-1250")
    refused = put(api, made, data, kind="text/csv; charset=windows-9")
    assert (refused.status_code, refused.json["code"]) == (415, "unsupported_media_type")
    assert "windows-1250" in refused.json["detail"]
    assert put(api, made, data, kind="text/csv; charset=windows-1250").json["reading"]["encoding"] == "windows-1250"
    assert preview(api, made) == ["a card for \u0141\u00f3d\u017a"]


def test_the_receipt_counts_the_rows_that_a_sheet_hides(api: Api) -> None:
    made = make_campaign(api)
    rows = [["recipient_id", "name"], [Styled(7, "00000"), "Ada"], [Styled(8, "00000"), "Ben"]]
    receipt = put(api, made, workbook(rows, hidden=[3]), kind=MEDIA_TYPE).json
    assert (receipt["accepted"], receipt["reading"]["hidden_rows"]) == (2, 1)
    assert "1 row that the sheet hides is included." in receipt["notes"]
    assert list_ids(api, made) == ["00007", "00008"]


def test_lists_and_objects_in_fields_that_nothing_uses_are_left_out(api: Api) -> None:
    made = make_campaign(api, template={"prompt": "a card for {{ first_name }}"})
    people = [{"first_name": name, "tags": ["a"], "address": {"city": "Oslo"}} for name in ("Ada", "Ben")]
    receipt = put(api, made, json.dumps(people), kind="application/json").json
    assert (receipt["accepted"], receipt["reading"]["nested_columns"]) == (2, ["tags", "address"])
    assert preview(api, made) == ["a card for Ada", "a card for Ben"]


def change_template(api: Api, made: Mapping[str, Any], prompt: str) -> TestResponse:
    return api.call("PATCH", f"/v1/campaigns/{made['id']}", json={"template": {"prompt": prompt}})


def test_a_changed_template_refuses_lists_and_objects_as_a_new_upload_would(api: Api) -> None:
    made = make_campaign(api)
    people = [{"name": "Ada", "addr": {"city": "Oslo"}}, {"name": "Ben", "addr": "Rome"}]
    assert put(api, made, json.dumps(people), kind="application/json").json["accepted"] == 2
    refused = change_template(api, made, "a card for {{ addr | default: 'home' }}")
    assert (refused.status_code, refused.json["code"]) == (422, "recipients_rejected")
    assert [error["code"] for error in refused.json["errors"]] == ["type"]
    assert "row 1, column addr" in refused.json["errors"][0]["detail"]


def test_rows_that_were_refused_for_their_shape_stay_refused_when_the_template_changes(api: Api) -> None:
    made = make_campaign(api, template={"prompt": "a card for {{ addr | default: 'home' }}"})
    people = [{"name": "Ada", "addr": {"city": "Oslo"}}, {"name": "Ben"}]
    assert put(api, made, json.dumps(people), "?on_error=skip", kind="application/json").json["accepted"] == 1
    assert change_template(api, made, "a kite for {{ addr | default: 'home' }}").status_code == 200
    assert preview(api, made) == ["a kite for home"]
    ragged = make_campaign(api)
    put(api, ragged, "name,city\nAda,Oslo\nBen,Rome,Italy\n", "?on_error=skip")
    assert change_template(api, ragged, "a kite for {{ name }}").status_code == 200
    assert preview(api, ragged) == ["a kite for Ada"]
