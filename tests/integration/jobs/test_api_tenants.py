"""Every route that takes an id, generated from the map of routes: another owner's is as good as missing."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from common.access import keys
from common.access.keys import Scope
from common.clock import utcnow
from common.db.engine import Database
from common.db.ids import create_id
from common.images import assets
from common.images.assets import PictureFile
from common.tables import ApiKey
from tests.support.apis import Api, open_api

IDS = {
    *("job_id", "image_id", "asset_id", "webhook_id", "delivery_id", "key_id"),
    *("campaign_id", "recipient_id", "reference", "name"),
}
BODIES: dict[str, dict[str, Any]] = {
    "PATCH": {"json": {}},
    "/rotate": {"json": {}},
    "/{webhook_id}/resend": {"json": {"from": "2026-01-01T00:00:00Z"}},
    "/approve": {"json": {"spec_digest": "0" * 64}},
    "/preview": {"json": {}},
    "/budget": {"json": {"amount": "5"}},
    "POST /v1/campaigns/{campaign_id}/proofs": {"json": {}},
    "PUT": {"data": b"name\nBob\n", "content_type": "text/csv"},
}
"""What the routes that want a body are sent, by how their method and path begin or end."""

OF_ALL_OWNERS = "/v1/quarantine"
"""Routes of reviewers, who see the blocked images of all owners."""


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path, max_webhooks=99)


def routes(api: Api) -> Iterator[tuple[str, str]]:
    """Yield method and path of every route under /v1, its variable parts in braces."""
    for rule in api.app.url_map.iter_rules():
        if rule.rule.startswith("/v1"):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, rule.rule.replace("<path:", "{").replace("<", "{").replace(">", "}")


def make_things(api: Api) -> dict[str, str]:
    """Return the ids of one of everything that ada has."""
    job_id, (image,) = api.print_job("ada")
    asset = assets.create_asset(api.database, api.storage, "ada", PictureFile(b"", 8, 8, {}), days=7, most=99)
    webhook = api.post("/v1/webhooks", json={"url": f"https://hooks.example/{create_id()}"}).json
    delivery = api.post(f"/v1/webhooks/{webhook['id']}/test").json
    template = {"prompt": "a cake for {{ name }}"}
    fields = {"name": "birthdays", "template": template, "budget": {"amount": "9"}}
    campaign = api.post("/v1/campaigns", json=fields).json
    people = {"data": b"recipient_id,name\nann,Ann\n", "content_type": "text/csv"}
    api.call("PUT", f"/v1/campaigns/{campaign['id']}/recipients", **people)
    api.post("/v1/styles", json={"name": "festive", "prompt_suffix": ", confetti"})
    return {
        "job_id": str(job_id),
        "image_id": str(image.id),
        "asset_id": str(asset.id),
        "webhook_id": webhook["id"],
        "delivery_id": delivery["id"],
        "key_id": api.make_key("ada").split("_")[1],
        "campaign_id": campaign["id"],
        "recipient_id": "ann",
        "reference": "festive",
        "name": "festive",
    }


def test_another_owners_id_answers_as_a_missing_one_on_every_route(api: Api) -> None:
    missing = {name: str(create_id()) for name in IDS}
    api.key, bob = api.make_key("ada", tuple(Scope)), api.make_key("bob", tuple(Scope))
    tried = 0
    for method, path in routes(api):
        if not any(f"{{{name}}}" in path for name in IDS) or path.startswith(OF_ALL_OWNERS):
            continue
        theirs = make_things(api)
        call = f"{method} {path}"
        options = next((body for part, body in BODIES.items() if call.startswith(part) or call.endswith(part)), {})
        foreign, absent = (
            api.call(method, path.format(**ids), key=bob, headers={"X-Request-Id": "same"}, **options)
            for ids in (theirs, missing)
        )
        assert (foreign.status_code, foreign.json) == (absent.status_code, absent.json), path
        assert foreign.status_code == 404, path
        own = api.call(method, path.format(**theirs), **options)
        assert own.status_code != 404, path
        tried += 1
    assert tried >= 40


def test_every_path_parameter_is_covered_by_this_test(api: Api) -> None:
    for rule in api.app.url_map.iter_rules():
        if rule.rule.startswith("/v1"):
            assert rule.arguments <= IDS


def test_lists_show_only_the_rows_of_their_owner(api: Api) -> None:
    make_things(api)
    bob = api.make_key("bob")
    assert api.get("/v1/jobs", key=bob).json["data"] == []
    assert api.get("/v1/assets", key=bob).json["data"] == []
    assert api.get("/v1/webhooks", key=bob).json["data"] == []
    assert api.get("/v1/usage", key=bob).json["total"]["jobs"] == 0


def test_every_route_requires_a_key_and_its_scope(api: Api) -> None:
    for method, path in routes(api):
        url = path.format(**{name: create_id() for name in IDS})
        assert api.call(method, url, key=None).status_code == 401, path
    scopes = dict.fromkeys(Scope, 0)
    for scope in Scope:
        key = api.make_key(f"only {scope}", (scope,))
        for method, path in routes(api):
            answer = api.call(method, path.format(**{name: create_id() for name in IDS}), key=key)
            if answer.status_code == 403:
                assert answer.json["code"] == "insufficient_scope"
                assert "insufficient_scope" in answer.headers["WWW-Authenticate"]
            else:
                scopes[scope] += 1
    assert all(scopes.values())
    assert sum(scopes.values()) == len(list(routes(api)))


def test_revoked_and_expired_keys_are_rejected(api: Api) -> None:
    revoked, expired = api.make_key("revoked"), api.make_key("expired")
    with api.database.transaction() as session:
        keys.revoke_api_key(session, revoked.split("_")[1])
        session.execute(update(ApiKey).where(ApiKey.owner == "expired").values(expires_at=utcnow() - timedelta(1)))
    for key in (revoked, expired):
        assert api.get("/v1/jobs", key=key).status_code == 401


def test_the_last_use_of_a_key_is_recorded(api: Api) -> None:
    api.get("/v1/jobs")
    with api.database.reading() as session:
        assert session.scalars(select(ApiKey.last_used_at)).one() is not None
