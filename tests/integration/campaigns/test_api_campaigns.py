"""Campaigns over HTTP: made, looked at, changed, approved and deleted; and all that is refused."""

from pathlib import Path
from typing import Any

import pytest

from common.access.keys import TENANT_SCOPES, Scope
from common.db.engine import Database
from tests.support.apis import Api, open_api
from tests.support.campaigns.recipient_files import CSV, make_campaign, put
from tests.support.picture_files import PNG, upload_asset

WISH: dict[str, Any] = {
    "name": "Birthdays",
    "template": {"prompt": 'a cake for {{ name | default: "you" }}'},
    "budget": {"amount": "20.50"},
}


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path)


def refuse(api: Api, **changes: Any) -> dict[str, Any]:
    answer = api.post("/v1/campaigns", json=WISH | changes)
    assert answer.status_code >= 400, answer.text
    return answer.json


def test_a_campaign_is_created_with_all_fields_and_shown(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    answer = api.post("/v1/campaigns", json=WISH | {"metadata": {"team": "crm"}, "defaults": {"steps": 4}})
    made = answer.json
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/campaigns/{made['id']}"
    assert (made["status"], made["variables"], made["metadata"]) == ("draft", ["name"], {"team": "crm"})
    assert made["budget"] == {"amount": "20.5", "spent": "0", "held": "0", "currency": "USD"}
    (arm,) = made["arms"]
    assert (arm["name"], arm["request"]["model"], arm["request"]["steps"]) == ("main", "painted", 4)
    assert (made["seed_rule"], made["priority"], made["spec_digest"]) == ("content", "bulk", None)
    assert api.get(answer.headers["Location"]).json == made


def test_the_same_request_sent_again_makes_no_second_campaign(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    headers = {"Idempotency-Key": "may"}
    first, again = (api.post("/v1/campaigns", json=WISH, headers=headers) for _ in range(2))
    assert (first.json["id"], "Idempotency-Replayed" in first.headers) == (again.json["id"], False)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    other = api.post("/v1/campaigns", json=WISH | {"name": "June"}, headers=headers)
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")
    assert len(api.get("/v1/campaigns").json["data"]) == 1


def test_variants_inherit_missing_fields_from_the_campaign_and_its_style(api: Api) -> None:
    look = {"prompt_suffix": ", soft light", "steps": 7, "palette": ["#ff0000"], "negative_prompt": "fog"}
    assert api.post("/v1/styles", json={"name": "warm", **look}).status_code == 201
    variants = [
        {"name": "a", "weight": 3},
        {"name": "b", "template": {"prompt": "a {{ pet }}"}, "style": "warm", "defaults": {"width": 64}},
    ]
    made = make_campaign(api, **WISH | {"variants": variants, "defaults": {"width": 128, "height": 128}})
    a, b = made["arms"]
    assert (a["weight"], a["style"], a["request"]["width"], a["palette"]) == (3, None, 128, [])
    assert (b["style"], b["request"]["width"], b["request"]["height"], b["request"]["steps"]) == ("warm@1", 64, 128, 7)
    assert (b["palette"], b["request"]["negative_prompt"]) == (["#ff0000"], "fog")
    assert made["variables"] == ["name", "pet"]


def test_a_style_without_a_version_is_pinned_to_the_newest(api: Api) -> None:
    api.post("/v1/styles", json={"name": "warm", "prompt_suffix": "v1"})
    made = make_campaign(api, **WISH | {"style": "warm"})
    api.post("/v1/styles", json={"name": "warm", "prompt_suffix": "v2"})
    assert api.get(f"/v1/campaigns/{made['id']}").json["arms"] == made["arms"]


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("{{ name", "template_syntax"),
        ("{{ {{a}} }}", "template_syntax"),
        ("{{ a | upper }}", "template_syntax"),
        ("{% for a in b %}{% endfor %}", "template_syntax"),
        (" ", "prompt_required"),
        ("x" * 10_001, "too_long"),
    ],
)
def test_a_template_that_cannot_be_read_is_refused_with_its_place(api: Api, prompt: str, code: str) -> None:
    refused = refuse(api, template={"prompt": prompt})
    assert (refused["code"], refused["errors"][0]["pointer"]) == (code, "/template/prompt")
    variants = [{"name": "a", "template": {"prompt": prompt}}]
    assert refuse(api, variants=variants)["errors"][0]["pointer"] == "/variants/0/template/prompt"


def test_a_path_in_a_template_names_a_column_and_reaches_no_attribute(api: Api) -> None:
    made = make_campaign(api, **WISH | {"template": {"prompt": "a {{ name.__class__.__mro__ }}"}})
    assert put(api, made, CSV).json["code"] == "unknown_variable"


def test_an_amount_may_be_a_number(api: Api) -> None:
    assert make_campaign(api, **WISH | {"budget": {"amount": 20.5}})["budget"]["amount"] == "20.5"


@pytest.mark.parametrize("prompt", ["a {name}", "{0.__init__.__globals__}", "%(name)s", "$name ${name}"])
def test_other_languages_of_templates_are_plain_text(api: Api, prompt: str) -> None:
    made = make_campaign(api, **WISH | {"template": {"prompt": prompt}, "allow_identical": True})
    assert put(api, made, "name\nAda\n").status_code == 200
    (shown,) = api.post(f"/v1/campaigns/{made['id']}/preview", json={}).json["data"]
    assert shown["prompt"] == prompt


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"budget": {"amount": "-1"}}, "type", "/budget/amount"),
        ({"budget": {"amount": "NaN"}}, "type", "/budget/amount"),
        ({"budget": {"amount": "0.00"}}, "out_of_range", "/budget/amount"),
        ({"budget": {"amount": "1e9"}}, "type", "/budget/amount"),
        ({"images_per_recipient": 0}, "out_of_range", "/images_per_recipient"),
        ({"defaults": {"width": 2056}}, "out_of_range", "/defaults/width"),
        ({"defaults": {"model": "gone"}}, "unknown_model", "/defaults/model"),
        ({"style": "gone"}, "unknown_style", "/style"),
        ({"seed": 1}, "incompatible", "/seed"),
        ({"on_block": "fallback"}, "incompatible", "/fallback_image"),
        ({"on_block": "wait"}, "enum", "/on_block"),
        ({"palette_floor": 0.5}, "incompatible", "/palette_floor"),
        ({"webhook_events": ["campaign.held"]}, "incompatible", "/webhook_events"),
        ({"webhook_url": "http://127.0.0.1/"}, "destination_not_allowed", "/webhook_url"),
        ({"deadline": "2020-01-01T00:00:00Z"}, "out_of_range", "/deadline"),
        ({"start_at": "tomorrow"}, "type", "/start_at"),
        ({"variants": [{"name": "a"}, {"name": "a"}]}, "incompatible", "/variants/1/name"),
        ({"metadata": {"a": 1}}, "metadata_limit", "/metadata"),
        ({"template": {}}, "required", "/template/prompt"),
        ({"templat": {}}, "unknown_field", "/templat"),
    ],
)
def test_an_invalid_campaign_is_refused_with_the_place_of_the_error(
    api: Api, changes: dict[str, Any], code: str, pointer: str
) -> None:
    refused = refuse(api, **changes)
    assert (refused["code"], refused["errors"][0]["pointer"]) == (code, pointer)


def test_a_template_is_checked_by_the_prompt_rules(api: Api) -> None:
    refused = refuse(api, template={"prompt": "{{ name }} as a naked child"})
    assert refused["code"] == "prompt_rejected"


def test_a_fallback_must_be_an_image_of_the_owner(api: Api) -> None:
    asset = upload_asset(api, PNG).json["id"]
    assert make_campaign(api, **WISH | {"on_block": "fallback", "fallback_image": asset})["fallback_image"] == asset
    refused = api.post(
        "/v1/campaigns", json=WISH | {"on_block": "fallback", "fallback_image": asset}, key=api.make_key("bob")
    )
    assert refused.json["code"] == "unknown_asset"


def test_campaigns_are_listed_newest_first_for_their_owner_alone(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    made = [make_campaign(api, **WISH)["id"] for _ in range(3)]
    first = api.get("/v1/campaigns?limit=2").json
    second = api.get(f"/v1/campaigns?limit=2&cursor={first['next']}").json
    assert [each["id"] for each in (*first["data"], *second["data"])] == made[::-1]
    assert api.get("/v1/campaigns?status=ready").json["data"] == []
    stranger = api.make_key("bob")
    assert api.get("/v1/campaigns", key=stranger).json["data"] == []
    for path in ("", "/recipients", "/recipients/errors.csv"):
        assert api.get(f"/v1/campaigns/{made[0]}{path}", key=stranger).status_code == 404
    assert put(api, {"id": made[0]}, CSV, key=stranger).status_code == 404


def test_a_campaign_is_changed_until_it_is_approved(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    made = make_campaign(api, **WISH)
    path = f"/v1/campaigns/{made['id']}"
    put(api, made, CSV)
    before = api.get(path).json
    after = api.call("PATCH", path, json={"name": "Names", "defaults": {"steps": 3}}).json
    assert (after["name"], after["arms"][0]["request"]["steps"], after["status"]) == ("Names", 3, "ready")
    assert after["spec_digest"] != before["spec_digest"]
    assert after["recipients"] == before["recipients"]
    api.post(f"{path}/approve", json={"spec_digest": after["spec_digest"]})
    refused = api.call("PATCH", path, json={"name": "Late"})
    assert (refused.status_code, refused.json["code"]) == (409, "invalid_state")


def test_a_changed_template_is_rendered_for_every_row_before_it_is_saved(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    made = make_campaign(api, **WISH)
    path = f"/v1/campaigns/{made['id']}"
    put(api, made, "name,pet\nAda,fox\n,owl\nBob,\n")
    refused = api.call("PATCH", path, json={"template": {"prompt": "a {{ pet }} for {{ name }}"}})
    assert (refused.status_code, refused.json["code"]) == (422, "recipients_rejected")
    unknown = api.call("PATCH", path, json={"template": {"prompt": "a {{ dog }}"}})
    assert (unknown.status_code, unknown.json["code"]) == (422, "unknown_variable")
    kept = api.get(path).json
    assert (kept["status"], kept["arms"], kept["recipients"]["accepted"]) == ("ready", made["arms"], 3)
    changed = api.call("PATCH", path, json={"template": {"prompt": 'a {{ pet | default: "cat" }}'}}).json
    assert (changed["recipients"]["accepted"], changed["variables"]) == (3, ["pet"])
    shown = api.get(f"{path}/recipients").json["data"]
    assert [each["recipient_id"] for each in shown] == ["1", "2", "3"]
    variants = [{"name": "a"}, {"name": "b", "template": {"prompt": "a {{ name | default: 'x' }}"}}]
    split = api.call("PATCH", path, json={"variants": variants}).json
    assert [arm["name"] for arm in split["arms"]] == ["a", "b"]
    assert {each["arm"] for each in api.get(f"{path}/recipients").json["data"]} <= {"a", "b"}


def test_an_approval_must_carry_the_digest_that_was_reviewed(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    made = make_campaign(api, **WISH)
    path = f"/v1/campaigns/{made['id']}"
    early = api.post(f"{path}/approve", json={"spec_digest": "0" * 64})
    assert (early.status_code, early.json["code"]) == (409, "invalid_state")
    seen = put(api, made, CSV).json["spec_digest"]
    put(api, made, CSV.replace("Bob", "Rob"))
    late = api.post(f"{path}/approve", json={"spec_digest": seen})
    assert (late.status_code, late.json["code"]) == (409, "digest_mismatch")
    done = api.post(f"{path}/approve", json={"spec_digest": api.get(path).json["spec_digest"]}).json
    assert (done["status"], done["recipients"]["approved"]) == ("approved", 2)
    again = api.post(f"{path}/approve", json={"spec_digest": done["spec_digest"]})
    assert again.json["code"] == "invalid_state"


def test_approving_requires_its_own_scope(api: Api) -> None:
    made = make_campaign(api, **WISH)
    digest = put(api, made, CSV).json["spec_digest"]
    path, body = f"/v1/campaigns/{made['id']}/approve", {"spec_digest": digest}
    without = tuple(scope for scope in TENANT_SCOPES if scope is not Scope.CAMPAIGNS_APPROVE)
    assert api.post(path, json=body, key=api.make_key("ada", without)).json["code"] == "insufficient_scope"
    assert api.post(path, json=body, key=api.make_key("ada", (Scope.CAMPAIGNS_APPROVE,))).status_code == 200


def test_the_digest_covers_exactly_what_is_approved(api: Api) -> None:
    made = make_campaign(api, **WISH)
    path = f"/v1/campaigns/{made['id']}"
    seen = [put(api, made, CSV).json["spec_digest"]]
    changes: list[dict[str, Any]] = [
        {"template": {"prompt": "a {{ name }}"}},
        {"defaults": {"steps": 3}},
        {"seed_rule": "recipient"},
        {"images_per_recipient": 2},
        {"budget": {"amount": "1"}},
    ]
    seen += [api.call("PATCH", path, json=each).json["spec_digest"] for each in changes]
    assert len({*seen}) == len(seen)
    same = api.call("PATCH", path, json={"name": "Other"}).json["spec_digest"]
    assert same == seen[-1]


def test_a_deleted_campaign_is_gone_and_a_running_one_cannot_be_deleted(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    made = make_campaign(api, **WISH)
    path = f"/v1/campaigns/{made['id']}"
    digest = put(api, made, CSV).json["spec_digest"]
    other = make_campaign(api, **WISH)["id"]
    assert api.call("DELETE", f"/v1/campaigns/{other}").status_code == 204
    assert [
        api.get(f"/v1/campaigns/{other}").status_code,
        api.call("DELETE", f"/v1/campaigns/{other}").status_code,
    ] == [404, 404]
    api.post(f"{path}/approve", json={"spec_digest": digest})
    refused = api.call("DELETE", path)
    assert (refused.status_code, refused.json["code"]) == (409, "invalid_state")
