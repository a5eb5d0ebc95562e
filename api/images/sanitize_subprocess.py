"""Sanitize an image from standard input: write only its pixels to standard output, as a new PNG.

The image is turned upright, converted to sRGB, scaled down if it is larger than any model needs, and laid on white;
where it is transparent is kept beside, for masks. A line of JSON before the PNG says what was done.

A separate program, run by ``common.launcher.subprocess_sandbox`` for each image: decoders are written in C and read
untrusted input, so they get no secrets, bounded memory and a few seconds. It imports nothing from Pressroom. It reports
a refusal by its problem code.
"""

import io
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator

import pi_heif
from PIL import Image, ImageCms, PngImagePlugin, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "HEIF", "AVIF")
NAMES = {"MPO": "JPEG", "HEIF": "HEIC"}
"""What people call a format, by Pillow's name of it."""

WITH_OTHER_IMAGES = ("MPO", "HEIF")
"""Formats in which a photograph contains further images after the first; they are dropped like all other metadata."""

MOST_KEPT_PIXELS = 4096 * 4096
LONGEST_SIDE = 4096
"""Of an image that is scaled down because it has more pixels than are kept."""
ORIENTATION = 0x0112  # of EXIF
UPRIGHT, SIDEWAYS = 1, (5, 6, 7, 8)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image upright, by its orientation (as in ImageOps.exif_transpose, which keeps a copy)."""
OPAQUE = 255
TEXT_BYTES = 64 * 1024  # for a PNG's unpacked text chunks, which are dropped anyway
LEVELS_16_BIT = 1 / 257
UNSUPPORTED, TOO_LARGE, DAMAGED = "unsupported_image", "image_too_large", "damaged_image"
TOO_COMPLEX = "image_too_complex"

MOST_SCANS = 32
"""Of a JPEG; each may cost as much as the whole image. libjpeg writes 10, mozjpeg 13 at most."""

MOST_PARTS = 65_536
"""Segments of a JPEG, chunks of a PNG or WebP; Pillow handles each in Python, in some microseconds."""

JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""A marker that is neither a stuffed byte, nor a restart within a scan, nor a fill byte."""

LONG_BOX, LEAST_BOX = 1, 8
"""A length that says that the true one follows in 64 bits, and the shortest of a box."""

TEM, SOI, EOI, SOS = 0x01, 0xD8, 0xD9, 0xDA  # markers of ITU-T T.81, table B.1


def main(pixels: int) -> None:
    """Redraw one image of at most *pixels* pixels."""
    transform_stdin(_encode_redrawn, pixels)


def transform_stdin(work: Callable[[bytes], bytes], pixels: int) -> None:
    """Write the result of *work* on an image of at most *pixels* pixels, or exit with the code of a refusal."""
    Image.MAX_IMAGE_PIXELS = pixels
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    pi_heif.register_heif_opener(thumbnails=False)
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = TEXT_BYTES
    try:
        data = sys.stdin.buffer.read()
        check_parts(data)
        answer = work(data)
    except UnidentifiedImageError:
        sys.exit(UNSUPPORTED)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        sys.exit(TOO_LARGE)
    except Exception:  # noqa: BLE001  (the boundary: decoders raise whatever a broken file leads to)
        sys.exit(DAMAGED)
    sys.stdout.buffer.write(answer)


def check_parts(data: bytes) -> None:
    """Exit with the code of a refusal if a file consists of more parts than an encoder writes; linear in its size."""
    scans = 0
    for number, is_scan in enumerate(_iter_parts(data)):
        scans += is_scan
        if number >= MOST_PARTS or scans > MOST_SCANS:
            sys.exit(TOO_COMPLEX)


def redraw_pixels(data: bytes) -> Image.Image:
    """Return only the pixels of a file, upright, in sRGB and on white."""
    return _redraw_picture(data)[0].convert("RGB")


def _redraw_picture(data: bytes) -> tuple[Image.Image, dict[str, object]]:
    """Return the pixels of a file in RGB on white, with its transparency if it has any, and what was done to it."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
        if opened.format not in WITH_OTHER_IMAGES and getattr(opened, "n_frames", 1) > 1:
            sys.exit(UNSUPPORTED)
        opened.load()
        changes: list[str] = []
        orientation, size = opened.getexif().get(ORIENTATION, UPRIGHT), opened.size
        small = _shrink_picture(_unify_mode(opened), changes)
        colours = _convert_colours(small, opened.info.get("icc_profile"), changes)
        upright = _turn_upright(_flatten_picture(colours, changes), orientation, changes)
        name = opened.format or ""
    width, height = size[::-1] if orientation in SIDEWAYS else size
    return upright, {"format": NAMES.get(name, name), "width": width, "height": height, "changes": changes}


def _unify_mode(picture: Image.Image) -> Image.Image:
    """Return *picture* in grey, RGB, RGBA or CMYK, of 8 bits."""
    if picture.mode.startswith("I"):  # 16 bits of grey
        return picture.point(lambda level: level * LEVELS_16_BIT).convert("L")
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture if picture.mode in ("L", "CMYK") else picture.convert("RGB")


def _shrink_picture(picture: Image.Image, changes: list[str]) -> Image.Image:
    """Return *picture* with no more pixels than are kept."""
    if picture.width * picture.height <= MOST_KEPT_PIXELS:
        return picture
    changes.append("scaled_down")
    scale = LONGEST_SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2)


def _convert_colours(picture: Image.Image, profile: bytes | None, changes: list[str]) -> Image.Image:
    """Return *picture* in sRGB if it has a colour profile that can be read, in its own colours otherwise."""
    if not profile:
        return picture
    has_alpha = picture.mode == "RGBA"
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if ImageCms.getProfileDescription(own).startswith("sRGB"):
            return picture
        converted = ImageCms.profileToProfile(
            picture.convert("RGB") if has_alpha else picture,
            own,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
    if converted is None:
        return picture
    changes.append("converted_to_srgb")
    if has_alpha:
        converted.putalpha(picture.getchannel("A"))
    return converted


def _turn_upright(picture: Image.Image, orientation: int, changes: list[str]) -> Image.Image:
    """Return *picture* as EXIF's *orientation* says that it is to be seen."""
    turn = TURNS.get(orientation)
    if turn is None:
        return picture
    changes.append("turned_upright")
    return picture.transpose(turn)


def _iter_parts(data: bytes) -> Iterator[bool]:
    """Yield for each part of a file whether it is a scan of a JPEG; parts are found as the decoders find them."""
    if data.startswith(b"\xff\xd8"):
        return _iter_jpeg_segments(data)
    if data[4:8] == b"ftyp":
        return _iter_boxes(data)
    if data.startswith(b"\x89PNG"):
        return _iter_chunks(data, start=8, length_first=True)
    return _iter_chunks(data, start=12, length_first=False)


def _iter_jpeg_segments(data: bytes) -> Iterator[bool]:
    position = 2
    while (found := JPEG_MARKER.search(data, position)) is not None:
        marker, position = data[found.end() - 1], found.end()
        if marker == EOI:
            return
        if marker not in (TEM, SOI):
            # A length that is too small, which includes its own two bytes, is ignored as libjpeg ignores it.
            position += max(int.from_bytes(data[position : position + 2], "big"), 2)
        yield marker == SOS


def _iter_boxes(data: bytes) -> Iterator[bool]:
    """Yield False for each box of a HEIC or AVIF file (ISO/IEC 14496-12); what they contain, libheif limits itself."""
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        if length == LONG_BOX:
            length = int.from_bytes(data[position + 8 : position + 16], "big")
        yield False
        if length < LEAST_BOX:  # to the end of the file, or damaged
            return
        position += length


def _iter_chunks(data: bytes, *, start: int, length_first: bool) -> Iterator[bool]:
    """Yield False for each chunk of a PNG (length, name, content, checksum) or a RIFF file (name, length, content)."""
    position = start
    while position < len(data):
        if length_first:
            position += 12 + int.from_bytes(data[position : position + 4], "big")
        else:
            length = int.from_bytes(data[position + 4 : position + 8], "little")
            position += 8 + length + length % 2
        yield False


def _encode_redrawn(data: bytes) -> bytes:
    picture, told = _redraw_picture(data)
    drawn = io.BytesIO()
    # New, so that nothing but the pixels comes along.
    Image.frombytes(picture.mode, picture.size, picture.tobytes()).save(drawn, "PNG", compress_level=1)
    return json.dumps(told).encode() + b"\n" + drawn.getvalue()


def _flatten_picture(picture: Image.Image, changes: list[str]) -> Image.Image:
    """Return *picture* in RGB, laid on white where it is transparent, with its transparency if it has any."""
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    alpha = picture.getchannel("A")
    if alpha.getextrema()[0] == OPAQUE:
        return picture.convert("RGB")
    changes.append("laid_on_white")
    ground = Image.new("RGBA", picture.size, "white")
    ground.alpha_composite(picture)
    flat = ground.convert("RGB")
    flat.putalpha(alpha)
    return flat


if __name__ == "__main__":
    main(int(sys.argv[1]))
