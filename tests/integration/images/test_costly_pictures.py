"""Pictures that are made to be expensive: refused before they are decoded, and never at the cost of other owners."""

import re
import struct
import zlib
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from PIL import Image

from api.images import uploads
from api.images.sanitize_subprocess import MOST_PARTS, MOST_SCANS
from api.web.owner_places import OwnerPlaces
from common.db.engine import Database
from tests.support.apis import Api, open_api
from tests.support.picture_files import PNG, encode, form, picture, upload_asset

MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
JPEG = encode(picture(), "JPEG")
FRAMES = [picture().rotate(number) for number in range(1, 60)]


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path)


def scans(count: int, fill: bytes = b"") -> bytes:
    """Return a progressive JPEG whose first scan is repeated until there are *count*."""
    data = encode(picture(), "JPEG", progressive=True)
    starts = [found.start() for found in re.finditer(b"\xff\xda", data)]
    after = MARKER.search(data, starts[0] + 2)
    assert after is not None
    scan = data[starts[0] : after.start()]
    return data[: after.start()] + (fill + scan) * (count - len(starts)) + data[after.start() :]


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_with(extra: bytes) -> bytes:
    return PNG[:33] + extra + PNG[33:]


def webp_with(extra: bytes) -> bytes:
    body = encode(picture(), "WEBP", exif=Image.Exif())[8:] + extra
    return b"RIFF" + struct.pack("<I", len(body)) + body


COMPLEX = {
    "jpeg of many scans": scans(MOST_SCANS + 1),
    "jpeg of thousands of scans": scans(3000),
    "jpeg of scans behind fill bytes": scans(MOST_SCANS + 1, fill=b"\xff\xff\xff"),
    "jpeg of many comments": JPEG[:2] + b"\xff\xfe\0\2" * MOST_PARTS + JPEG[2:],
    "jpeg of many comments that are too short": JPEG[:2] + b"\xff\xfe\0\0" * MOST_PARTS + JPEG[2:],
    "png of many empty IDAT": png_with(chunk(b"IDAT", b"") * MOST_PARTS),
    "png of many texts": png_with(chunk(b"tEXt", b"a\0") * MOST_PARTS),
    "png of many packed texts": png_with(chunk(b"zTXt", b"a\0\0" + zlib.compress(b"")) * MOST_PARTS),
    "png of many private chunks": png_with(chunk(b"prVt", b"") * MOST_PARTS),
    "webp of many chunks": webp_with(b"prVt\0\0\0\0" * MOST_PARTS),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_a_picture_of_more_parts_than_encoders_write_is_refused_before_it_is_decoded(api: Api, name: str) -> None:
    problem = api.post("/v1/assets", **form(("file", "a.png", COMPLEX[name])))
    assert (problem.status_code, problem.json["code"]) == (422, "image_too_complex"), problem.json


MANY_FRAMES = {
    "gif": encode(picture(), "GIF", save_all=True, append_images=FRAMES),
    "apng": encode(picture(), "PNG", save_all=True, append_images=FRAMES),
    "webp": encode(picture(), "WEBP", save_all=True, append_images=FRAMES),
    "tiff": encode(picture(), "TIFF", save_all=True, append_images=FRAMES),
    "avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(1000),
}


@pytest.mark.parametrize("name", MANY_FRAMES)
def test_a_picture_of_many_frames_or_of_a_format_with_grids_is_refused(api: Api, name: str) -> None:
    problem = upload_asset(api, MANY_FRAMES[name])
    assert (problem.status_code, problem.json["code"]) == (422, "unsupported_image"), problem.json


HONEST = {
    "progressive jpeg": scans(MOST_SCANS),
    # A preview in the metadata, or a film behind the picture, contains any bytes.
    "jpeg with scans in its metadata": JPEG[:2] + b"\xff\xe1" + struct.pack(">H", 402) + b"\xff\xda" * 200 + JPEG[2:],
    "jpeg with scans behind its end": JPEG + b"\xff\xda\0\2" * 200,
    "jpeg with restarts": encode(picture((256, 256)), "JPEG", restart_marker_blocks=1),
    "png of small IDAT": png_with(chunk(b"IDAT", b"") * 1000),
}


@pytest.mark.parametrize("name", HONEST)
def test_a_picture_of_as_many_parts_as_encoders_write_is_taken(api: Api, name: str) -> None:
    answer = upload_asset(api, HONEST[name])
    assert answer.status_code == 201, answer.json


def test_an_owner_who_holds_its_share_of_decoders_gets_429_and_another_is_served(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_places", OwnerPlaces(total=2, share=1))
    entered, leave = Event(), Event()
    run_program, answers = uploads._sandbox.run_program, list[Any]()

    def wait_first(*arguments: Any) -> bytes:
        if not entered.is_set():
            entered.set()
            leave.wait(30)
        return run_program(*arguments)

    monkeypatch.setattr(uploads._sandbox, "run_program", wait_first)
    headers = {"Authorization": f"Bearer {api.make_key('bob')}"}
    holder = Thread(target=lambda: answers.append(upload_asset(api, PNG)))
    holder.start()
    try:
        assert entered.wait(30)
        refused = upload_asset(api, PNG)
        assert (refused.status_code, refused.json["code"]) == (429, "too_many_uploads")
        assert int(refused.headers["Retry-After"]) > 0
        other = api.app.test_client().post("/v1/assets", **_with_headers(form(("file", "a.png", PNG)), headers))
        assert other.status_code == 201
    finally:
        leave.set()
        holder.join()
    assert [answer.status_code for answer in answers] == [201]
    assert upload_asset(api, PNG).status_code == 201


def test_no_owner_may_hold_more_than_half_of_the_decoders() -> None:
    places = uploads._places
    held = [places.try_take("mallory") for _ in range(uploads.DECODERS)]
    try:
        assert sum(release is not None for release in held) == uploads.DECODERS // 2
    finally:
        for release in held:
            if release is not None:
                release()


def _with_headers(request: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    return request | {"headers": request["headers"] | headers}
