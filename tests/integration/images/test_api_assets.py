"""Assets over HTTP: listed, kept for so long, named by jobs, deleted."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from common.clock import utcnow
from common.db.engine import Database
from common.errors import StorageError
from common.tables import Asset
from tests.support.apis import Api, open_api
from tests.support.picture_files import PNG, count_assets, upload_asset


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path)


def test_the_asset_limit_of_an_owner_is_enforced(sqlite_database: Database, tmp_path: Path) -> None:
    api = open_api(sqlite_database, tmp_path, max_assets=2)
    assert [upload_asset(api, PNG).status_code for _ in range(3)] == [201, 201, 429]
    assert upload_asset(api, PNG).json["code"] == "too_many_assets"
    assert upload_asset(api, PNG, key=api.make_key("bob")).status_code == 201


def test_a_failing_storage_leaves_no_asset_behind(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StorageError

    monkeypatch.setattr(api.storage, "put", refuse)
    assert upload_asset(api, PNG).json["code"] == "storage_unavailable"
    assert api.get("/v1/assets").json["data"] == []


def test_a_list_continues_over_pages_with_a_cursor_valid_for_it_alone(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    made = [upload_asset(api, PNG).json["id"] for _ in range(3)]
    first = api.get("/v1/assets?limit=2").json
    second = api.get(f"/v1/assets?limit=2&cursor={first['next']}").json
    assert [asset["id"] for asset in (*first["data"], *second["data"])] == made[::-1]
    assert (first["has_more"], second["has_more"], second["next"]) == (True, False, None)
    assert api.get(f"/v1/jobs?cursor={first['next']}").json["code"] == "invalid_cursor"
    assert api.get("/v1/assets?limit=0").json["code"] == "invalid_parameter"


def test_an_expired_asset_is_not_found(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    asset = upload_asset(api, PNG).json["id"]
    with api.database.transaction() as session:
        session.execute(update(Asset).values(expires_at=utcnow() - timedelta(seconds=1)))
    assert api.get(f"/v1/assets/{asset}").status_code == 404
    assert api.get("/v1/assets").json["data"] == []
    refused = api.post("/v1/jobs", json={"prompt": "x", "init_image": asset}).json
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("unknown_asset", "/init_image")


def test_an_asset_can_be_deleted_once_no_job_needs_it(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    init, mask = (upload_asset(api, PNG).json["id"] for _ in range(2))
    job = api.make_job(init_image=init, mask_image=mask)
    for asset in (init, mask):
        refused = api.call("DELETE", f"/v1/assets/{asset}")
        assert (refused.status_code, refused.json["code"]) == (409, "asset_in_use")
    api.post(f"/v1/jobs/{job['id']}/cancel")
    answer = api.call("DELETE", f"/v1/assets/{init}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert api.get(f"/v1/assets/{init}").status_code == 404
    assert not any(init in key for key in api.storage.list_keys(""))
    assert count_assets(api) == 1
    again = api.post(f"/v1/jobs/{job['id']}/retry")
    assert (again.status_code, again.json["code"]) == (422, "unknown_asset")
    assert "init_image" in again.json["detail"]


def test_an_asset_can_be_deleted_while_storage_is_unavailable(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise StorageError

    asset = upload_asset(api, PNG).json["id"]
    monkeypatch.setattr(api.storage, "delete", refuse)
    assert api.call("DELETE", f"/v1/assets/{asset}").status_code == 204
    assert api.get(f"/v1/assets/{asset}").status_code == 404
    assert count_assets(api) == 1, "the clerk knows what is left to delete"


def test_a_job_shows_its_input_images(api: Api) -> None:
    init, mask = (upload_asset(api, PNG).json["id"] for _ in range(2))
    shown = [
        api.make_job(**fields)["request"]
        for fields in ({}, {"init_image": init}, {"init_image": init, "mask_image": mask},
                     {"init_image": init, "strength": 0.25})
    ]  # fmt: skip
    assert [(request["init_image"], request["mask_image"], request["strength"]) for request in shown] == [
        (None, None, None),
        (init, None, 0.8),
        (init, mask, 1.0),
        (init, None, 0.25),
    ]


def bad_requests(own: str, foreign: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    yield {"init_image": foreign}, "unknown_asset", "/init_image"
    yield {"init_image": "x"}, "unknown_asset", "/init_image"
    yield {"init_image": own.upper()}, "unknown_asset", "/init_image"
    yield {"init_image": 7}, "type", "/init_image"
    yield {"init_image": None}, "type", "/init_image"
    yield {"init_image": own, "mask_image": foreign}, "unknown_asset", "/mask_image"
    yield {"mask_image": own}, "incompatible", "/mask_image"
    yield {"strength": 0.5}, "incompatible", "/strength"
    yield {"init_image": own, "strength": 0}, "out_of_range", "/strength"
    yield {"init_image": own, "strength": 1.01}, "out_of_range", "/strength"
    yield {"init_image": own, "strength": "0.5"}, "type", "/strength"
    yield {"init_image": own, "strength": 0.3, "steps": 3}, "out_of_range", "/strength"
    yield {"init_image": own, "steps": 1}, "out_of_range", "/strength"


def test_a_job_with_unusable_input_images_is_refused(api: Api) -> None:
    own = upload_asset(api, PNG).json["id"]
    foreign = upload_asset(api, PNG, key=api.make_key("bob")).json["id"]
    for fields, code, place in bad_requests(own, foreign):
        problem = api.post("/v1/jobs", json={"prompt": "x"} | fields).json
        assert (problem["code"], problem["errors"][0]["pointer"]) == (code, place), fields
    assert api.count_jobs() == 0
