"""Photographs as phones and cameras write them: their colours, their formats, their size and which side is up."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from common.db.engine import Database
from tests.support.apis import Api, open_api
from tests.support.picture_files import encode, stored, upload_asset

HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9j"
    "AAAAAERAAAEAAQAAAAABoAABAAAAAAAAAPAAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/Glw"
    "cnAAAADcaXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AA"
    "AAMAkAAAAwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABA"
    "AAAAQAAAAChjbGFwAAAAIAAAAAEAAAAQAAAAAf///+AAAAAC////0AAAAAIAAAAQcGl4aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYEC"
    "AwWEAAAA+G1kYXQAAADsKAGvBPIc/FfwcWTS3/0w//I/iPn//jv/wlz6957//PiRN/s4BRGMjfotYXlrig1HlCcOCpkcISthxsAJ5LesAJYi"
    "q+15kLOP8qpFACfGUdi0Q/JvsXnhOQtnh+6S6t7lfRJJXFDREmjw2sf/ecEoAILKweRPNzJttSTjDJg4Du/yACGcxvgIHJMvgZO/AB+O7gJ5"
    "ZMjExql+lQFZXi3rHkwNrzFkW96crecuGuChwAGT9/+TbwDc7Zm6+w4RHm2IAckg+GBuUWtS1j/wAymvhb01LX6Dhjxgt0ya9UlyEJyaYFVa"
    "QCk1f+T8Q7A="
)
"""32 × 16 pixels, the left half blue, the right half red."""
RED, BLUE = (230, 60, 30), (20, 60, 200)
ORIENTATION, QUARTER_TURN = 0x0112, 6


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path)


def is_close(pixel: object, colour: tuple[int, ...], by: int = 4) -> bool:
    assert isinstance(pixel, tuple)
    return len(pixel) == len(colour) and all(abs(a - b) <= by for a, b in zip(pixel, colour, strict=True))


def swap_channels() -> bytes:
    """Return a colour profile that is sRGB with red and blue exchanged, so that nobody can miss what it does."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile).replace(b"s\0R\0G\0B", b"s\0w\0a\0p").replace(b"sRGB", b"swap", 1)


def test_a_heic_photograph_is_read(api: Api) -> None:
    asset = upload_asset(api, HEIC).json
    assert asset["original"] == {"format": "HEIC", "width": 32, "height": 16, "changes": []}
    kept = stored(api, asset)
    assert is_close(kept.getpixel((4, 8)), BLUE)
    assert is_close(kept.getpixel((28, 8)), RED)


def test_an_avif_picture_is_read(api: Api) -> None:
    asset = upload_asset(api, encode(Image.new("RGB", (32, 16), RED), "AVIF")).json
    assert asset["original"]["format"] == "AVIF"
    assert is_close(stored(api, asset).getpixel((4, 4)), RED)


@pytest.mark.parametrize("data", [HEIC[:300], HEIC[:16] + b"\0" * 100, b"\0\0\0\x1cftypavif" + b"\0" * 50])
def test_a_broken_heic_or_avif_is_refused(api: Api, data: bytes) -> None:
    refused = upload_asset(api, data)
    assert refused.status_code == 422
    assert refused.json["code"] in ("unsupported_image", "damaged_image")


def test_a_photograph_of_24_megapixels_is_scaled_down_and_turned_upright(api: Api) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = QUARTER_TURN
    asset = upload_asset(api, encode(Image.new("RGB", (5712, 4284), RED), "JPEG", exif=exif)).json
    assert (asset["width"], asset["height"]) == (3072, 4096)
    assert asset["original"] == {
        "format": "JPEG",
        "width": 4284,
        "height": 5712,
        "changes": ["scaled_down", "turned_upright"],
    }
    assert is_close(stored(api, asset).getpixel((9, 9)), RED)


def test_too_large_a_photograph_is_refused_in_megapixels(api: Api) -> None:
    refused = upload_asset(api, encode(Image.new("1", (8192, 6145)), "PNG")).json
    assert refused["errors"][0]["detail"] == "must not exceed 50 megapixels, such as 8192 × 6144; scale it down"


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_colours_are_converted_by_the_profile_of_the_file(api: Api, form: str, mode: str) -> None:
    picture = Image.new("RGB", (16, 16), RED[::-1]).convert(mode)
    asset = upload_asset(api, encode(picture, form, icc_profile=swap_channels(), lossless=True)).json
    assert asset["original"]["changes"] == ["converted_to_srgb"]
    assert is_close(stored(api, asset).getpixel((4, 4)), RED)


def test_a_profile_that_is_srgb_or_broken_changes_nothing(api: Api) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, srgb[:200], b"nonsense" * 40):
        asset = upload_asset(api, encode(Image.new("RGB", (16, 16), RED), icc_profile=profile)).json
        assert asset["original"]["changes"] == []
        assert stored(api, asset).getpixel((4, 4)) == RED


def test_transparency_is_kept_beside_the_colours_on_white(api: Api) -> None:
    mask = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    mask.paste((255, 255, 255, 255), (4, 4, 12, 12))
    asset = upload_asset(api, encode(mask)).json
    assert asset["original"]["changes"] == ["laid_on_white"]
    kept = stored(api, asset)
    assert (kept.getpixel((0, 0)), kept.getpixel((8, 8))) == ((255, 255, 255, 0), (255, 255, 255, 255))
    opaque = upload_asset(api, encode(Image.new("RGBA", (16, 16), (*RED, 255)))).json
    assert (opaque["original"]["changes"], stored(api, opaque).mode) == ([], "RGB")


def test_the_formats_that_are_read_are_named_in_the_refusal(api: Api) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "BMP")
    detail = upload_asset(api, file.getvalue()).json["errors"][0]["detail"]
    assert detail == "must be a single, non-animated image in PNG, JPEG, WebP, HEIC or AVIF format"
