"""Sanitize an image from standard input: write only its pixels to standard output, as a new PNG.

A separate program, run by ``common.launcher.subprocess_sandbox`` for each image: decoders are written in C and read
untrusted input, so they get no secrets, bounded memory and a few seconds. It imports nothing from Pressroom. It reports
a refusal by its problem code.
"""

import io
import re
import sys
import warnings
from collections.abc import Callable, Iterator

from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP")
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

TEM, SOI, EOI, SOS = 0x01, 0xD8, 0xD9, 0xDA  # markers of ITU-T T.81, table B.1


def main(pixels: int) -> None:
    """Redraw one image of at most *pixels* pixels."""
    transform_stdin(_encode_redrawn, pixels)


def transform_stdin(work: Callable[[bytes], bytes], pixels: int) -> None:
    """Write the result of *work* on an image of at most *pixels* pixels, or exit with the code of a refusal."""
    Image.MAX_IMAGE_PIXELS = pixels
    warnings.simplefilter("error", Image.DecompressionBombWarning)
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
    """Return only the pixels of a file, upright and in RGB."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        # A photograph may contain further images after the first (MPO); they are dropped like all other metadata.
        if picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1:
            sys.exit(UNSUPPORTED)
        picture.load()
        flat = _flatten_picture(picture)
        ImageOps.exif_transpose(flat, in_place=True)
        return Image.frombytes("RGB", flat.size, flat.tobytes())


def _iter_parts(data: bytes) -> Iterator[bool]:
    """Yield for each part of a file whether it is a scan of a JPEG; parts are found as the decoders find them."""
    if data.startswith(b"\xff\xd8"):
        return _iter_jpeg_segments(data)
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
    drawn = io.BytesIO()
    redraw_pixels(data).save(drawn, "PNG", compress_level=1)
    return drawn.getvalue()


def _flatten_picture(picture: Image.Image) -> Image.Image:
    """Return *picture* in RGB, with transparency on white and its orientation metadata kept."""
    if picture.mode.startswith("I"):  # 16 bits of grey
        picture = picture.point(lambda level: level * LEVELS_16_BIT).convert("L")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layered = picture.convert("RGBA")
    ground = Image.new("RGBA", layered.size, "white")
    ground.alpha_composite(layered)
    ground.info = picture.info
    return ground.convert("RGB")


if __name__ == "__main__":
    main(int(sys.argv[1]))
