"""Images over HTTP: looked at, fetched with a key or by a link, and never when they were not published."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api.app import create_app
from common.db.engine import Database
from common.states.jobs import ImageStatus
from tests.support.apis import PIXELS, Api, open_api


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path)


def test_an_image_is_shown_alone_as_within_its_job(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    job_id, (row,) = api.print_job()
    image = api.get(f"/v1/images/{row.id}").json
    within = api.get(f"/v1/jobs/{job_id}").json["images"][0]
    changing = {"url": "", "thumbnail_url": "", "url_expires_at": ""}
    assert image | changing == within | changing
    assert image["cost"] == {"gpu_seconds": 1.0, "amount": "0.000166667", "currency": "USD"}


def test_the_bytes_have_their_media_type_and_cannot_execute(api: Api) -> None:
    _, (row,) = api.print_job()
    answer = api.get(f"/v1/images/{row.id}/content")
    assert (answer.status_code, answer.data, answer.content_type) == (200, PIXELS, "image/png")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    again = api.get(f"/v1/images/{row.id}/content", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_a_link_needs_no_key(api: Api) -> None:
    _, (row,) = api.print_job()
    path = urlsplit(api.get(f"/v1/images/{row.id}").json["url"]).path
    answer = api.get(path, key=None)
    assert (answer.status_code, answer.data, answer.content_type) == (200, PIXELS, "image/png")
    assert f"{row.job_id}-0.png" in answer.headers["Content-Disposition"]


def test_a_tampered_link_is_rejected(api: Api) -> None:
    _, (row,) = api.print_job()
    path = urlsplit(api.get(f"/v1/images/{row.id}").json["url"]).path
    for changed in (f"{path}x", path[:-1], "/files/x", "/files/..", "/files/%00"):
        answer = api.get(changed, key=None)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_links_are_not_logged(api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    _, (row,) = api.print_job()
    path = urlsplit(api.get(f"/v1/images/{row.id}").json["url"]).path
    api.get(path, key=None)
    assert path.rpartition("/")[2] not in "".join(capfd.readouterr())


def test_with_presigned_links_the_bytes_are_fetched_from_the_store(api: Api) -> None:
    _, (row,) = api.print_job()
    services = replace(api.services, links=None)
    there = Api(create_app(services.settings, services=services), services, api.notifier, api.storage, api.key)
    answer = there.get(f"/v1/images/{row.id}/content")
    assert (answer.status_code, answer.data) == (302, b"")
    assert answer.headers["Location"].startswith("http")
    assert there.get("/files/x").status_code == 404


@pytest.mark.parametrize("variant", ["full", "thumbnail"])
def test_a_blocked_image_has_no_link_no_bytes_and_no_price(api: Api, variant: str) -> None:
    job_id, (row,) = api.print_job(status=ImageStatus.BLOCKED)
    job = api.get(f"/v1/jobs/{job_id}").json
    image = job["images"][0]
    assert (job["status"], job["error"]["code"], job["cost"]["amount"]) == ("failed", "content_blocked", "0")
    assert (image["status"], image["url"], image["thumbnail_url"], image["url_expires_at"]) == (
        "blocked",
        None,
        None,
        None,
    )
    answer = api.get(f"/v1/images/{row.id}/content?variant={variant}")
    assert (answer.status_code, answer.json["code"]) == (404, "image_not_readable")


def test_a_lost_object_is_reported_as_lost(api: Api) -> None:
    _, (row,) = api.print_job()
    assert row.storage_key is not None
    api.storage.delete(row.storage_key)
    answer = api.get(f"/v1/images/{row.id}/content")
    assert (answer.status_code, answer.json["code"]) == (410, "object_missing")
    assert row.storage_key not in answer.text


def test_an_unavailable_store_answers_503_with_retry_after(api: Api) -> None:
    _, (row,) = api.print_job()
    assert row.storage_key is not None
    path = api.storage.root / row.storage_key
    path.unlink()
    path.mkdir()
    answer = api.get(f"/v1/images/{row.id}/content")
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (503, "storage_unavailable", "5")
    assert str(api.storage.root) not in answer.text


def test_an_image_without_thumbnail_says_so(api: Api) -> None:
    _, (row,) = api.print_job()
    assert api.get(f"/v1/images/{row.id}/content?variant=thumbnail").json["code"] == "image_not_readable"
    assert api.get(f"/v1/images/{row.id}/content?variant=huge").json["code"] == "invalid_parameter"


def test_images_of_all_jobs_are_listed_page_by_page_and_filtered(api: Api) -> None:
    made = [image.id for _ in range(3) for image in api.print_job()[1]]
    (blocked_job, (blocked,)), _ = api.print_job(status=ImageStatus.BLOCKED), api.print_job("bob")
    first = api.get("/v1/images?limit=3").json
    rest = api.get(f"/v1/images?limit=3&cursor={first['next']}").json
    assert [each["id"] for each in first["data"] + rest["data"]] == [str(blocked.id), *map(str, reversed(made))]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [each["id"] for each in api.get("/v1/images?status=blocked").json["data"]] == [str(blocked.id)]
    assert len(api.get(f"/v1/images?job_id={blocked_job}&model=painted").json["data"]) == 1
    for nothing in ("to=2020-01-01T00:00:00Z", f"campaign_id={blocked_job}", "style=birthday", "style=birthday@3"):
        assert api.get(f"/v1/images?{nothing}").json["data"] == [], nothing
    assert api.get("/v1/images?style=No").status_code == 422
    assert api.get(f"/v1/images?cursor={api.get('/v1/jobs?limit=1').json['next']}").json["code"] == "invalid_cursor"
