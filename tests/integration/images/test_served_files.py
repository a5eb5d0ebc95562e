"""Nothing is served that was not checked, encoded and marked: every route that sends image files, found and tried."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from PIL import Image as Pillow, ImageChops
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from api.runtime.context import EXTENSION
from api.web.file_routes import is_file_type, is_file_view
from common.access.keys import TENANT_SCOPES, Scope
from common.images import quarantine
from common.images.quarantine_encryption import FilePart, PictureCipher
from common.images.served_files import PublishedFile, find_published_file
from common.jobs import lifecycle
from common.jobs.attempts import Spent
from common.jobs.request import OutputFormat
from common.states.jobs import ImageStatus, SafetyMode, Verdict
from common.storage.keys import build_quarantine_key
from common.tables import Image
from tests.integration.campaigns.test_api_results import start
from tests.support import factories, picture_files
from tests.support.apis import Api, open_api
from tests.support.campaigns.campaign_fixture import CampaignFixture
from tests.support.invariants import MARK
from worker.pictures.encode import encode_picture, encode_preview, encode_thumbnail
from worker.pictures.mark import Mark

PICTURE = Pillow.linear_gradient("L").convert("RGB")
PICTURE.paste((255, 0, 255), (0, 0, 128, 256))
BARE = picture_files.encode(PICTURE)
"""A picture that nobody has checked or marked."""


@dataclass
class Shop:
    """An api with a campaign that has one printed image, an image in quarantine, and an upload."""

    api: Api
    campaign_id: UUID
    image_id: UUID
    blocked_id: UUID
    asset_id: str

    def read(self, image_id: UUID) -> Image:
        with self.api.database.reading() as session:
            return session.get_one(Image, image_id)

    def change(self, image_id: UUID, **values: Any) -> None:
        with self.api.database.transaction() as session:
            factories.lift_guards(session)
            session.execute(update(Image).where(Image.id == image_id).values(**values))

    def replace_files(self, data: bytes) -> None:
        """Put *data* in place of every stored image, and of every part of the one in quarantine."""
        image = self.read(self.image_id)
        for key in (image.storage_key, image.thumbnail_key):
            self.api.storage.put(key or "", data, "image/png")
        seal_parts(self.api, self.blocked_id, dict.fromkeys(FilePart, data))


def seal_parts(api: Api, image_id: UUID, parts: dict[FilePart, bytes]) -> None:
    cipher = PictureCipher(api.services.settings.read_secret())
    for part, data in parts.items():
        api.storage.put(build_quarantine_key(image_id, part), cipher.seal(image_id, part, data), "")


def keep_blocked(api: Api) -> UUID:
    held = factories.running(api.database)
    (image,) = factories.images(held, ImageStatus.BLOCKED)
    mark = Mark(job_id=held.job_id, model="painted")
    full, thumbnail = (
        encode_picture(PICTURE, OutputFormat.PNG, mark),
        encode_thumbnail(PICTURE, mark),
    )
    image.status, image.content_type = ImageStatus.QUARANTINED, "image/png"
    image.sha256 = hashlib.sha256(full).hexdigest()
    with api.database.transaction() as session:
        lifecycle.block_job(session, held, [image], Spent(1.0))
        quarantine.quarantine_images(session, [image], 30)
        image_id = image.id
    seal_parts(
        api,
        image_id,
        {FilePart.FULL: full, FilePart.THUMBNAIL: thumbnail, FilePart.PREVIEW: encode_preview(thumbnail)},
    )
    return image_id


@pytest.fixture
def shop(campaign_fixture: CampaignFixture, tmp_path: Path) -> Shop:
    api = open_api(campaign_fixture.database, tmp_path / "api")
    api.key = api.make_key("ada", (*TENANT_SCOPES, Scope.SAFETY_REVIEW))
    campaign_id = start(campaign_fixture, ["ann"])
    campaign_fixture.print_all()
    assert api.post(f"/v1/campaigns/{campaign_id}/links").status_code == 200
    with api.database.transaction() as session:
        image = session.scalars(select(Image)).one()
        mark = Mark(job_id=image.job_id, model="painted")
        data = encode_picture(PICTURE, OutputFormat.PNG, mark)
        image.sha256, image.content_type = hashlib.sha256(data).hexdigest(), "image/png"
        image.thumbnail_key = f"{(image.storage_key or '').removesuffix('.png')}-thumbnail.webp"
        api.storage.put(image.storage_key or "", data, "image/png")
        api.storage.put(image.thumbnail_key, encode_thumbnail(PICTURE, mark), "image/webp")
        image_id = image.id
    asset = picture_files.upload_asset(api, BARE).json["id"]
    assert api.client.post("/console/sign-in", data={"key": api.key}).status_code == 303
    return Shop(api, campaign_id, image_id, keep_blocked(api), asset)


def get_link(shop: Shop, field: str) -> TestResponse:
    url = shop.api.get(f"/v1/images/{shop.image_id}").json[field]
    return shop.api.get("/gone" if url is None else urlsplit(url).path, key=None)


def get_public_link(shop: Shop) -> TestResponse:
    line = shop.api.get(f"/v1/campaigns/{shop.campaign_id}/results.jsonl").text
    url = json.loads(line)["link"]
    return shop.api.get("/gone" if url is None else urlsplit(url).path, key=None)


ROUTES: dict[str, Callable[[Shop], list[TestResponse]]] = {
    "images.get_image_content": lambda shop: [
        shop.api.get(f"/v1/images/{shop.image_id}/content"),
        shop.api.get(f"/v1/images/{shop.image_id}/content?variant=thumbnail"),
    ],
    "files.get_file": lambda shop: [get_link(shop, "url"), get_link(shop, "thumbnail_url")],
    "public links.get_public_picture": lambda shop: [get_public_link(shop)],
    "results.get_archive": lambda shop: [shop.api.get(f"/v1/campaigns/{shop.campaign_id}/archive.zip")],
    "results.get_contact_sheet": lambda shop: [shop.api.get(f"/v1/campaigns/{shop.campaign_id}/contact-sheet.png")],
    "console.campaigns_results:send_archive": lambda shop: [
        shop.api.client.get(f"/console/campaigns/{shop.campaign_id}/archive.zip")
    ],
    "console.campaigns_results:send_sheet": lambda shop: [
        shop.api.client.get(f"/console/campaigns/{shop.campaign_id}/contact-sheet.png")
    ],
    "console.gallery:draw_sheet": lambda shop: [shop.api.client.get(f"/console/gallery/sheet?image={shop.image_id}")],
}
"""How each route is asked for the published image, in all its forms."""

PREVIEWS: dict[str, Callable[[Shop], TestResponse]] = {
    "quarantine.preview_quarantined_image": lambda shop: shop.api.get(f"/v1/quarantine/{shop.blocked_id}/preview"),
    "console.review:show_preview": lambda shop: shop.api.client.get(f"/console/review/{shop.blocked_id}/preview"),
}
"""The routes that show a reviewer a blurred preview of a blocked image."""

UPLOADS = {"console.generate:show_picture"}
"""The routes that show an owner what the owner has uploaded."""


def list_pictures(answer: TestResponse) -> list[bytes]:
    """Return the images that an answer carries."""
    if answer.status_code != 200:
        return []
    if answer.mimetype != "application/zip":
        return [answer.data]
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        return [archive.read(name) for name in archive.namelist() if not name.endswith(".txt")]


def shows_pixels(data: bytes) -> bool:
    """Tell whether a picture shows anything of the picture of these tests, half of which is magenta."""
    with Pillow.open(io.BytesIO(data)) as opened:
        red, green, _ = opened.convert("RGB").split()
    return ImageChops.subtract(red, green).getextrema()[1] > 200


def test_every_route_that_sends_image_files_is_covered_here(shop: Shop) -> None:
    app = shop.api.app
    declared = {rule.endpoint for rule in app.url_map.iter_rules() if is_file_view(app.view_functions[rule.endpoint])}
    assert declared == {*ROUTES, *PREVIEWS, *UPLOADS}
    described = set()
    for path, operations in shop.api.get("/openapi.json", key=None).json["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if status != "default" and any(map(is_file_type, answer.get("content", {}))):
                    described.add((re.sub(r"\{(\w+)\}", r"<\1>", path), method.upper()))
    served = {
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        if rule.endpoint in declared and not rule.rule.startswith("/console")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert described == served


def test_a_route_that_declares_no_image_cannot_send_one(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    view = shop.api.app.view_functions["images.get_image_content"]
    monkeypatch.delitem(vars(view), "pressroom_sends_files")
    answer = shop.api.get(f"/v1/images/{shop.image_id}/content")
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")


@pytest.mark.parametrize("endpoint", ROUTES)
def test_a_route_sends_published_images_marked(shop: Shop, endpoint: str) -> None:
    for answer in ROUTES[endpoint](shop):
        pictures = list_pictures(answer)
        assert len(pictures) == 1, answer.text
        assert MARK in pictures[0]
        assert shows_pixels(pictures[0])


@pytest.mark.parametrize("endpoint", ROUTES)
def test_a_route_sends_no_bytes_but_those_that_were_marked(shop: Shop, endpoint: str) -> None:
    shop.replace_files(BARE)
    for answer in ROUTES[endpoint](shop):
        assert not any(map(shows_pixels, list_pictures(answer)))
        assert answer.status_code in (200, 410)


@pytest.mark.parametrize(
    "values",
    [
        {"status": ImageStatus.BLOCKED, "verdict": Verdict.BLOCK},
        {"status": ImageStatus.ERASED},
        {"sha256": None},
    ],
    ids=["blocked", "erased", "never-marked"],
)
@pytest.mark.parametrize("endpoint", ROUTES)
def test_a_route_sends_no_image_that_is_not_published(shop: Shop, endpoint: str, values: dict[str, Any]) -> None:
    links = [get_link(shop, "url").request.path, get_link(shop, "thumbnail_url").request.path]
    image = shop.read(shop.image_id)
    shop.change(shop.image_id, **values)
    answers = [*ROUTES[endpoint](shop), *(shop.api.get(link, key=None) for link in links)]
    shop.change(shop.image_id, **{name: getattr(image, name) for name in values})
    for answer in answers:
        assert not any(map(shows_pixels, list_pictures(answer)))


@pytest.mark.parametrize("endpoint", PREVIEWS)
def test_a_preview_is_blurred_and_marked_or_not_sent(shop: Shop, endpoint: str) -> None:
    answer = PREVIEWS[endpoint](shop)
    assert MARK in answer.data
    shop.replace_files(BARE)
    assert PREVIEWS[endpoint](shop).status_code == 410


def test_a_release_publishes_no_bytes_but_those_that_were_marked(shop: Shop) -> None:
    path = f"/v1/quarantine/{shop.blocked_id}/release"
    shop.replace_files(BARE)
    assert shop.api.post(path, json={}).status_code == 410
    assert shop.read(shop.blocked_id).status is ImageStatus.QUARANTINED
    assert shop.api.get(f"/v1/images/{shop.blocked_id}").json["url"] is None


def test_an_upload_is_shown_to_its_owner_alone_and_never_by_a_link(shop: Shop) -> None:
    path = f"/console/generate/assets/{shop.asset_id}"
    answer = shop.api.client.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    assert shop.api.app.test_client().get(path).status_code == 303, "a visitor signs in first"
    other = shop.api.app.test_client()
    other.post("/console/sign-in", data={"key": shop.api.make_key("bob")})
    assert other.get(path).status_code == 404
    (key,) = shop.api.storage.list_keys("owners/ada/assets/")
    link = urlsplit(shop.api.storage.sign(key, content_type="image/png", filename="x.png", seconds=60))
    assert shop.api.get(link.path, key=None).status_code == 410


def test_the_door_takes_no_image_without_a_verdict_and_a_mark(shop: Shop) -> None:
    image = shop.read(shop.image_id)
    files = shop.api.app.extensions[EXTENSION].files
    assert MARK in files.read_image(PublishedFile(image))
    for name, value in {
        "verdict": Verdict.BLOCK,
        "status": ImageStatus.QUARANTINED,
        "sha256": None,
        "storage_key": None,
    }.items():
        changed = SimpleNamespace(**{column.key: getattr(image, column.key) for column in Image.__table__.columns})
        vars(changed)[name] = value
        assert find_published_file(changed) is None  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="not checked"):
            PublishedFile(changed)  # type: ignore[arg-type]
    unchecked = {"verdict": Verdict.UNCHECKED, "safety_mode": SafetyMode.ON}
    vars(changed).update({"storage_key": image.storage_key} | unchecked)
    assert find_published_file(changed) is None  # type: ignore[arg-type]
