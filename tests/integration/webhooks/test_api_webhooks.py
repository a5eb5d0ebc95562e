"""Webhooks over HTTP: made, looked at, changed, rotated, tested, and their deliveries read and sent again."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from common.access.keys import Scope
from common.db.engine import Database
from common.states.webhooks import DisabledReason
from common.tables import WebhookEndpoint
from common.webhooks import endpoints, signing_secrets
from tests.support.apis import Api, open_api

HOOK = "https://hooks.example/a"
ENDING = ["job.succeeded", "job.failed", "job.canceled", "job.expired"]
CAMPAIGN_ENDING = ["campaign.completed", "campaign.held", "campaign.failed"]
NOWHERE = "01a20640-025c-701a-a101-2492ecb370ff"


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path)


@pytest.fixture
def plain(sqlite_database: Database, tmp_path: Path) -> Api:
    """An api for what does not depend on the kind of database."""
    return open_api(sqlite_database, tmp_path, max_webhooks=3)


def make(api: Api, url: str | None = HOOK, **fields: Any) -> dict[str, Any]:
    answer = api.post("/v1/webhooks", json=({"url": url} if url else {}) | fields)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/webhooks/{answer.json['id']}"
    return answer.json


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def test_a_webhook_is_created_and_its_secret_shown_once(api: Api) -> None:
    made = make(api, "HTTPS://Hooks.Example:443", description="for the shop")
    assert made["url"] == "https://hooks.example/"
    assert made["events"] == [*ENDING, "image.released", *CAMPAIGN_ENDING]
    assert made["description"] == "for the shop"
    assert (made["status"], made["disabled_reason"], made["failures"]) == ("enabled", None, 0)
    assert len(signing_secrets.parse_secret(made["secret"])) == 32
    looked = api.get(f"/v1/webhooks/{made['id']}").json
    assert looked == made | {"secret": None}
    assert api.get("/v1/webhooks").json["data"] == [looked]


def test_secrets_are_encrypted_in_the_database(api: Api) -> None:
    made = make(api)
    with api.database.reading() as session:
        (row,) = session.query(WebhookEndpoint)
    assert signing_secrets.parse_secret(made["secret"]) not in row.secret


def test_a_custom_secret_is_accepted(plain: Api) -> None:
    secret = signing_secrets.format_secret(b"x" * 24)
    assert make(plain, secret=secret)["secret"] == secret


@pytest.mark.parametrize(
    "secret", ["whsec_" + "AAAA" * 2, "whsec_?", "AAAA" * 10, "whsec_" + "AAAA" * 30, "x" * 1000], ids=lambda s: s[:12]
)
def test_a_secret_of_the_wrong_length_or_form_is_refused(plain: Api, secret: str) -> None:
    answer = plain.post("/v1/webhooks", json={"url": HOOK, "secret": secret})
    assert problem(answer)[0] == 422
    assert answer.json["errors"][0]["pointer"] == "/secret"
    assert problem(answer)[1] in ("invalid_secret", "too_long")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://hooks.example/", "invalid_url"),
        ("ftp://hooks.example/", "invalid_url"),
        ("https://user:pw@hooks.example/", "invalid_url"),
        ("http://example.com\\@127.0.0.1/", "invalid_url"),
        ("https://hooks.example/" + "x" * 10_000, "too_long"),
        ("https://127.0.0.1/", "destination_not_allowed"),
        ("https://①②⑦.⓪.⓪.①/", "destination_not_allowed"),
        ("https://metadata.google.internal/", "destination_not_allowed"),
        ("https://[fd00:ec2::254]/", "destination_not_allowed"),
        ("https://images.example/v1/jobs", "destination_not_allowed"),
    ],
)
def test_a_forbidden_receiver_is_refused_on_every_route(
    sqlite_database: Database, tmp_path: Path, url: str, code: str
) -> None:
    api = open_api(sqlite_database, tmp_path, public_url="https://images.example")
    webhook = make(api)
    for method, path, body, pointer in (
        ("POST", "/v1/webhooks", {"url": url}, "/url"),
        ("PATCH", f"/v1/webhooks/{webhook['id']}", {"url": url}, "/url"),
        ("POST", "/v1/jobs", {"prompt": "x", "webhook_url": url}, "/webhook_url"),
    ):
        answer = api.call(method, path, json=body)
        assert problem(answer) == (422, code)
        assert answer.json["errors"][0]["pointer"] == pointer
        assert "127.0.0.1" not in answer.json["detail"]
    assert api.count_jobs() == 0


def test_a_name_with_a_private_address_is_refused_without_showing_it(sqlite_database: Database, tmp_path: Path) -> None:
    api = open_api(sqlite_database, tmp_path, resolve=lambda *_: [ip_address("10.9.8.7")])
    answer = api.post("/v1/webhooks", json={"url": HOOK})
    assert problem(answer) == (422, "destination_not_allowed")
    assert "10.9" not in answer.text


def test_the_same_url_twice_is_a_conflict(api: Api) -> None:
    first = make(api)
    assert problem(api.post("/v1/webhooks", json={"url": "https://HOOKS.example:443/a"})) == (409, "webhook_exists")
    second = make(api, HOOK + "b")
    moved = api.call("PATCH", f"/v1/webhooks/{second['id']}", json={"url": HOOK})
    assert problem(moved) == (409, "webhook_exists")
    assert api.call("PATCH", f"/v1/webhooks/{first['id']}", json={"url": HOOK}).status_code == 200
    other = api.make_key("grace")
    assert api.post("/v1/webhooks", json={"url": HOOK}, key=other).status_code == 201


def test_the_webhook_limit_of_an_owner_is_enforced(plain: Api) -> None:
    for number in range(3):
        make(plain, f"{HOOK}{number}")
    assert problem(plain.post("/v1/webhooks", json={"url": HOOK})) == (422, "too_many_webhooks")
    make(plain, None)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"events": []}, "type"),
        ({"events": ["job.nothing"]}, "enum"),
        ({"events": ["webhook.test"]}, "enum"),
        ({"events": "job.failed"}, "type"),
        ({"description": "x" * 513}, "too_long"),
        ({"zzz": "x"}, "unknown_field"),
        ({"url": None}, "type"),
    ],
)
def test_an_invalid_webhook_is_refused(plain: Api, fields: dict[str, Any], code: str) -> None:
    assert problem(plain.post("/v1/webhooks", json={"url": HOOK} | fields)) == (422, code)


def test_a_webhook_can_be_changed(api: Api) -> None:
    path = f"/v1/webhooks/{make(api)['id']}"
    changes = {"url": HOOK + "b", "events": ["job.started", "job.started"], "description": "two"}
    changed = api.call("PATCH", path, json=changes).json
    assert (changed["url"], changed["events"], changed["description"]) == (HOOK + "b", ["job.started"], "two")
    assert api.call("PATCH", path, json={}).json == changed == api.get(path).json


def test_a_rotated_secret_is_shown_once_and_the_old_one_stays_valid_for_a_day(api: Api) -> None:
    made = make(api)
    path = f"/v1/webhooks/{made['id']}"
    rotated = api.post(f"{path}/rotate", json={}).json
    assert rotated["secret"] not in (None, made["secret"])
    assert rotated["previous_secret_until"] is not None
    assert api.get(path).json["secret"] is None
    own = signing_secrets.format_secret(b"y" * 64)
    again = api.post(f"{path}/rotate", json={"secret": own, "overlap_s": 0}).json
    assert (again["secret"], again["previous_secret_until"]) == (own, None)


def test_a_job_may_name_a_receiver_and_its_owner_can_read_the_secret(api: Api) -> None:
    job = api.make_job(webhook_url="https://HOOKS.example/job?x=1", webhook_events=["job.failed", "job.failed"])
    assert job["webhook_url"] == "https://hooks.example/job?x=1"
    assert job["webhook_events"] == ["job.failed"]
    api.make_job(webhook_url=HOOK)
    (direct,) = api.get("/v1/webhooks").json["data"]
    assert (direct["url"], direct["secret"]) == (None, None)
    path = f"/v1/webhooks/{direct['id']}"
    assert api.post(f"{path}/rotate", json={"overlap_s": 0}).json["secret"].startswith("whsec_")
    assert problem(api.post(f"{path}/test")) == (409, "webhook_without_url")
    assert problem(api.call("PATCH", path, json={"url": HOOK})) == (409, "webhook_without_url")
    assert problem(api.post("/v1/webhooks", json={})) == (409, "webhook_exists")
    api.post(f"/v1/jobs/{job['id']}/cancel")
    again = api.post(f"/v1/jobs/{job['id']}/retry").json
    assert (again["webhook_url"], again["webhook_events"]) == (job["webhook_url"], job["webhook_events"])


def test_the_webhook_of_jobs_can_be_made_before_the_first_of_them(api: Api) -> None:
    made = make(api, None)
    assert made["secret"] is not None
    api.make_job(webhook_url=HOOK)
    assert [row["id"] for row in api.get("/v1/webhooks").json["data"]] == [made["id"]]


def test_events_without_a_receiver_are_refused(plain: Api) -> None:
    answer = plain.post("/v1/jobs", json={"prompt": "x", "webhook_events": ["job.failed"]})
    assert problem(answer) == (422, "incompatible")


def test_each_route_needs_its_scope(plain: Api) -> None:
    webhook = make(plain)
    reader = plain.make_key("ada", (Scope.WEBHOOKS_READ,))
    stranger = plain.make_key("ada", (Scope.JOBS_READ, Scope.JOBS_WRITE))
    path = f"/v1/webhooks/{webhook['id']}"
    assert plain.get(path, key=reader).status_code == 200
    assert problem(plain.call("DELETE", path, key=reader)) == (403, "insufficient_scope")
    assert problem(plain.get(path, key=stranger)) == (403, "insufficient_scope")


@pytest.mark.parametrize("path", ["", "/deliveries", f"/deliveries/{NOWHERE}", f"/deliveries/{NOWHERE}/attempts"])
def test_a_missing_webhook_is_not_found(plain: Api, path: str) -> None:
    for webhook_id in (NOWHERE, "x", NOWHERE.upper()):
        assert problem(plain.get(f"/v1/webhooks/{webhook_id}{path}")) == (404, "not_found")


def test_why_a_webhook_was_disabled_is_shown(plain: Api) -> None:
    webhook = make(plain)
    with plain.database.transaction() as session:
        (row,) = session.query(WebhookEndpoint)
        endpoints.disable_endpoint(session, row, DisabledReason.FAILING)
    assert plain.get(f"/v1/webhooks/{webhook['id']}").json["disabled_reason"] == "failing"
