"""Pictures that are handed in over HTTP: what is taken, what is kept of it, and all that is refused."""

import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from api.images import uploads
from common.db.engine import Database
from common.launcher.subprocess_sandbox import Sandbox
from tests.support.apis import Api, open_api
from tests.support.picture_files import PNG, count_assets, encode, form, picture, stored, upload_asset

ROTATED = 6  # of EXIF's orientations: shown a quarter turn to the right


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_an_uploaded_image_is_stored_as_png_and_shown(database: Database, tmp_path: Path, form: str) -> None:
    api = open_api(database, tmp_path)
    answer = upload_asset(api, encode(picture(), form))
    asset = answer.json
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/assets/{asset['id']}"
    assert (asset["object"], asset["width"], asset["height"], asset["content_type"]) == ("asset", 48, 32, "image/png")
    assert asset["verdict"] is None
    assert asset["expires_at"] > asset["created_at"]
    assert api.get(answer.headers["Location"]).json == asset
    assert stored(api, asset).size == (48, 32)


def test_the_pixels_of_a_png_are_kept_exactly(api: Api) -> None:
    asset = upload_asset(api, encode(picture())).json
    assert stored(api, asset).tobytes() == picture().tobytes()


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (Image.new("RGBA", (8, 8), (255, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (8, 8), (255, 0, 0, 255)), (255, 0, 0)),
        (Image.new("LA", (8, 8), (10, 0)), (255, 255, 255)),
        (Image.new("L", (8, 8), 7), (7, 7, 7)),
        (Image.new("1", (8, 8), 1), (255, 255, 255)),
        (Image.new("P", (8, 8), 0), (0, 0, 0)),
        (Image.new("I;16", (8, 8), 128 * 257), (128, 128, 128)),
    ],
    ids=lambda value: getattr(value, "mode", ""),
)
def test_every_kind_of_pixel_becomes_rgb_on_white(api: Api, image: Image.Image, colour: tuple[int, ...]) -> None:
    kept = stored(api, upload_asset(api, encode(image)).json)
    assert kept.convert("RGB").getpixel((4, 4)) == colour


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_orientation_is_applied_and_all_that_is_not_pixels_is_dropped(api: Api, form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825)[2] = (52.0, 30.0, 0.0)
    data = encode(picture(), form, exif=exif, icc_profile=b"SecretProfile" * 20)
    assert b"SecretCamera" in data
    asset = upload_asset(api, data).json
    kept = stored(api, asset)
    assert (asset["width"], asset["height"]) == kept.size == (32, 48)
    assert (kept.info, dict(kept.getexif())) == ({}, {})


def test_a_file_that_is_also_something_else_is_reduced_to_its_pixels(api: Api) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "<script>alert(1)</script>")
    asset = upload_asset(api, encode(picture(), pnginfo=notes) + b"<html><script>alert(2)</script>PK\x03\x04").json
    (key,) = list(api.storage.list_keys("owners/ada/assets/"))
    assert b"script" not in api.storage.get(key)
    assert stored(api, asset).tobytes() == picture().tobytes()


def header_only(width: int, height: int) -> bytes:
    """Return a PNG that says how large it is and holds a handful of packed zeros."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(100_000))),
        (b"IEND", b""),
    )
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def text_bomb() -> bytes:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "x" * 10_000_000, zip=True)
    return encode(picture(), pnginfo=notes)


FILES = {
    "nothing": (b"", "unsupported_image"),
    "text": (b"a lighthouse", "unsupported_image"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "unsupported_image"),
    "gif": (encode(picture(), "GIF"), "unsupported_image"),
    "bmp": (encode(picture(), "BMP"), "unsupported_image"),
    "tiff": (encode(picture(), "TIFF"), "unsupported_image"),
    "pdf": (encode(picture(), "PDF"), "unsupported_image"),
    "postscript": (encode(picture(), "EPS"), "unsupported_image"),
    "animated png": (encode(picture(), save_all=True, append_images=[picture().rotate(90)]), "unsupported_image"),
    "animated webp": (
        encode(picture(), "WEBP", save_all=True, append_images=[picture().rotate(90)]),
        "unsupported_image",
    ),
    "half a png": (encode(picture((256, 256)))[:-200], "damaged_image"),
    "half a jpeg": (encode(picture(), "JPEG")[:-100], "damaged_image"),
    "half a webp": (encode(picture(), "WEBP")[:-50], "damaged_image"),
    "a png's first bytes": (encode(picture())[:20], "damaged_image"),
    "changed png": (encode(picture()).replace(b"IDAT", b"IDAT\0", 1), "damaged_image"),
    "one row too many": (header_only(8192, 6145), "image_too_large"),
    "bomb": (header_only(100_000, 100_000), "image_too_large"),
    "bomb of fewer bytes than it says": (header_only(4096, 4096), "damaged_image"),
    "one of the largest sides": (header_only(2**31 - 1, 2**31 - 1), "image_too_large"),
    "bomb of text": (text_bomb(), "damaged_image"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_an_image_is_refused_with_the_reason_and_not_stored(api: Api, name: str) -> None:
    data, code = FILES[name]
    problem = upload_asset(api, data)
    assert (problem.status_code, problem.json["code"]) == (422, code), problem.json
    assert problem.content_type == "application/problem+json"
    assert problem.json["errors"][0]["pointer"] == "/file"
    assert (count_assets(api), list(api.storage.list_keys(""))) == (0, [])


def test_the_content_of_a_file_counts_and_not_its_name(api: Api) -> None:
    assert upload_asset(api, encode(picture()), filename="../../etc/passwd.svg").status_code == 201
    assert upload_asset(api, b"<svg/>", filename="picture.png").json["code"] == "unsupported_image"


def test_an_image_that_needs_too_many_resources_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    large = encode(Image.new("RGB", (2000, 2000)))
    monkeypatch.setattr(uploads, "_sandbox", _open_sandbox(memory_bytes=64 * 2**20))
    assert upload_asset(api, large).json["code"] == "damaged_image"
    monkeypatch.undo()
    assert upload_asset(api, large).status_code == 201


def test_an_image_that_takes_too_long_to_decode_is_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(uploads, "SANITIZE_PROGRAM", slow)
    monkeypatch.setattr(uploads, "_sandbox", _open_sandbox(cpu_seconds=0.05))
    assert upload_asset(api, encode(picture())).json["code"] == "damaged_image"


def test_an_upload_behind_slow_images_gets_429_with_retry_after(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sandbox = _open_sandbox(places=1, wait_seconds=0.01)
    monkeypatch.setattr(uploads, "_sandbox", sandbox)
    slow = tmp_path / "slow.py"
    slow.write_text("import time; time.sleep(60)")
    with tempfile.TemporaryFile() as file, sandbox.start_program(slow, file):
        answer = upload_asset(api, PNG)
        assert (answer.status_code, answer.json["code"]) == (429, "too_many_uploads")
        assert answer.headers["Retry-After"] == "5"
    assert upload_asset(api, PNG).status_code == 201


def test_the_decoder_process_receives_no_secrets(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nosy = tmp_path / "nosy.py"
    nosy.write_text(
        "import os, sys\n"
        "told = any('PRESSROOM' in name for name in os.environ)\n"
        "sys.stderr.write('image_too_large' if told else 'unsupported_image')\n"
        "sys.exit(1)"
    )
    monkeypatch.setenv("PRESSROOM_SECRET_KEY", "x" * 32)
    monkeypatch.setattr(uploads, "SANITIZE_PROGRAM", nosy)
    assert upload_asset(api, encode(picture())).json["code"] == "unsupported_image"


FORMS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no body": ({}, 415, "unsupported_media_type"),
    "json": ({"json": {"file": "x"}}, 415, "unsupported_media_type"),
    "bare picture": ({"data": PNG, "headers": {"Content-Type": "image/png"}}, 415, "unsupported_media_type"),
    "fields of a form": ({"data": {"file": "x"}, "content_type": "application/x-www-form-urlencoded"}, 415,
                         "unsupported_media_type"),
    "compressed": ({**form(("file", "a.png", PNG)), "headers": {"Content-Type": "multipart/form-data; boundary=x",
                                                                "Content-Encoding": "gzip"}}, 415, "content_encoding"),
    "no boundary": ({"data": PNG, "headers": {"Content-Type": "multipart/form-data"}}, 400, "bad_request"),
    "strange boundary": ({"data": PNG, "headers": {"Content-Type": "multipart/form-data; boundary=é"}}, 400,
                         "bad_request"),
    "another boundary": ({"data": PNG, "headers": {"Content-Type": "multipart/form-data; boundary=y"}}, 400,
                         "bad_request"),
    "no end": (form(("file", "a.png", PNG), end=b""), 400, "bad_request"),
    "no part": (form(), 422, "required"),
    "another field": (form(("picture", "a.png", PNG)), 422, "invalid_request"),
    "a field besides": (form(("file", "a.png", PNG), ("owner", "", b"bob")), 422, "unknown_field"),
    "a text": (form(("file", "", PNG)), 422, "type"),
    "two files": (form(("file", "a.png", PNG), ("file", "b.png", PNG)), 400, "duplicate_key"),
    "many parts": (form(*[("file", "a.png", PNG)] * 9), 413, "body_too_large"),
    "a long text": (form(("note", "", b"x" * 300_000)), 413, "body_too_large"),
    "too large a file": (form(("file", "a.png", b"x" * 5001)), 413, "body_too_large"),
    "far too large a file": (form(("file", "a.png", b"x" * 1_000_000)), 413, "body_too_large"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_form_without_exactly_one_file_is_refused(sqlite_database: Database, tmp_path: Path, name: str) -> None:
    api = open_api(sqlite_database, tmp_path, max_asset_bytes=5000)
    request, status, code = FORMS[name]
    answer = api.post("/v1/assets", **request)
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.json
    assert answer.content_type == "application/problem+json"
    assert count_assets(api) == 0


def test_a_file_of_a_megabyte_is_taken(api: Api) -> None:
    noise = Image.effect_noise((1000, 1000), 60)
    data = encode(noise)
    assert len(data) > 10**6
    assert (
        stored(api, api.post("/v1/assets", **form(("file", "a.png", data))).json).getchannel("R").tobytes()
        == noise.tobytes()
    )


def _open_sandbox(**limits: Any) -> Sandbox:
    return Sandbox(**{"memory_bytes": 768 * 2**20, "cpu_seconds": 10, "places": 2, "wait_seconds": 10} | limits)
