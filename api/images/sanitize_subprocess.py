"""Sanitize an image from standard input: write only its pixels to standard output, as a new PNG.

A separate program, run by ``common.launcher.subprocess_sandbox`` for each image: decoders are written in C and read
untrusted input, so they get no secrets, bounded memory and a few seconds. It imports nothing from Pressroom. It reports
a refusal by its problem code.
"""

import io
import sys
import warnings
from collections.abc import Callable

from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP")
TEXT_BYTES = 64 * 1024  # for a PNG's unpacked text chunks, which are dropped anyway
LEVELS_16_BIT = 1 / 257
UNSUPPORTED, TOO_LARGE, DAMAGED = "unsupported_image", "image_too_large", "damaged_image"


def main(pixels: int) -> None:
    """Redraw one image of at most *pixels* pixels."""
    transform_stdin(_encode_redrawn, pixels)


def transform_stdin(work: Callable[[bytes], bytes], pixels: int) -> None:
    """Write the result of *work* on an image of at most *pixels* pixels, or exit with the code of a refusal."""
    Image.MAX_IMAGE_PIXELS = pixels
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = TEXT_BYTES
    try:
        answer = work(sys.stdin.buffer.read())
    except UnidentifiedImageError:
        sys.exit(UNSUPPORTED)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        sys.exit(TOO_LARGE)
    except Exception:  # noqa: BLE001  (the boundary: decoders raise whatever a broken file leads to)
        sys.exit(DAMAGED)
    sys.stdout.buffer.write(answer)


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
