"""/v1/keys: an owner's keys, made by a key that may, with no more scopes than it has; on both databases."""

from datetime import timedelta
from pathlib import Path

import pytest

from common.access.keys import TENANT_SCOPES, Scope
from common.clock import utcnow
from common.db.engine import Database
from tests.support.apis import Api, open_api

ADMIN = (*TENANT_SCOPES, Scope.KEYS_ADMIN)


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    opened = open_api(database, tmp_path)
    opened.key = opened.make_key("ada", ADMIN)
    return opened


def test_a_new_key_allows_its_scopes_and_is_shown_once(api: Api) -> None:
    made = api.post("/v1/keys", json={"name": "shop", "scopes": ["jobs:read"]})
    assert made.status_code == 201
    key = made.json["key"]
    assert api.get("/v1/jobs", key=key).status_code == 200
    assert api.post("/v1/jobs", key=key, json={"prompt": "a lighthouse"}).json["code"] == "insufficient_scope"
    shown = api.get(made.headers["Location"]).json
    assert shown == made.json | {"key": None, "last_used_at": shown["last_used_at"]}
    assert key not in api.get("/v1/keys").text


def test_a_new_key_inherits_all_scopes_except_creating_keys(api: Api) -> None:
    made = api.post("/v1/keys", json={"name": "shop"}).json
    assert set(made["scopes"]) == set(TENANT_SCOPES)


def test_a_key_cannot_grant_a_scope_that_it_lacks(api: Api) -> None:
    refused = api.post("/v1/keys", json={"name": "shop", "scopes": ["jobs:read", "usage:all"]})
    assert (refused.status_code, refused.json["code"]) == (422, "scope_not_held")
    assert refused.json["errors"][0]["pointer"] == "/scopes/1"


def test_a_revoked_key_is_rejected(api: Api) -> None:
    made = api.post("/v1/keys", json={"name": "shop"}).json
    for _ in range(2):
        assert api.call("DELETE", f"/v1/keys/{made['id']}").status_code == 204
    assert api.get("/v1/jobs", key=made["key"]).status_code == 401
    assert api.get(f"/v1/keys/{made['id']}").json["revoked_at"] is not None


def test_an_expired_key_is_rejected(api: Api) -> None:
    soon = utcnow() + timedelta(hours=1)
    made = api.post("/v1/keys", json={"name": "shop", "expires_at": soon.isoformat()}).json
    assert api.get("/v1/jobs", key=made["key"]).status_code == 200
    past = {"name": "late", "expires_at": (utcnow() - timedelta(seconds=1)).isoformat()}
    assert api.post("/v1/keys", json=past).json["code"] == "out_of_range"


def test_keys_of_other_owners_are_not_found(api: Api) -> None:
    made = api.post("/v1/keys", json={"name": "shop"}).json
    stranger = api.make_key("bob", ADMIN)
    assert api.get("/v1/keys", key=stranger).json["data"][0]["name"] == "bob"
    assert api.get(f"/v1/keys/{made['id']}", key=stranger).status_code == 404
    assert api.call("DELETE", f"/v1/keys/{made['id']}", key=stranger).status_code == 404


def test_an_ordinary_key_cannot_create_keys(api: Api) -> None:
    assert api.post("/v1/keys", key=api.make_key("ada"), json={"name": "shop"}).status_code == 403


def test_a_key_cannot_create_one_that_outlives_it(api: Api) -> None:
    end = utcnow() + timedelta(hours=1)
    fields = {"name": "lent", "scopes": ["jobs:read", "keys:admin"], "expires_at": end.isoformat()}
    lent = api.post("/v1/keys", json=fields).json
    later = {"name": "child", "expires_at": (end + timedelta(seconds=1)).isoformat()}
    refused = api.post("/v1/keys", key=lent["key"], json=later)
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/expires_at")
    child = api.post("/v1/keys", key=lent["key"], json={"name": "child"}).json
    assert child["expires_at"] == lent["expires_at"], "without ``expires_at`` it ends with its maker"
    sooner = {"name": "short", "expires_at": (end - timedelta(minutes=1)).isoformat()}
    assert api.post("/v1/keys", key=lent["key"], json=sooner).json["expires_at"] < lent["expires_at"]
    assert api.post("/v1/keys", json={"name": "free"}).json["expires_at"] is None
