"""Reads a picture from standard input and writes its pixels, and nothing else of it, to standard output as a new PNG.

A program of its own, run by ``api.images.uploads`` for each picture: decoders are written in C and read what strangers
send, so they get no secrets, a bounded part of the memory and a few seconds. It imports nothing of Pressroom. What it
refuses, it names on standard error by the code of the problem.
"""

import io
import resource
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress

from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP")
TEXT_BYTES = 64 * 1024  # of a PNG's text chunks, unpacked; they are dropped anyway
LEVELS_16_BIT = 1 / 257
UNSUPPORTED, TOO_LARGE, DAMAGED = "unsupported_image", "image_too_large", "damaged_image"


class Refusal(Exception):  # noqa: N818  (it is an outcome, and is named for what it does)
    """The picture is not taken, for the reason that is its message."""


def main(pixels: int, memory_bytes: int, seconds: int) -> int:
    """Redraw one picture of so many pixels at most; return the exit status."""
    return work_on_input(_answer, pixels, memory_bytes, seconds)


def work_on_input(work: Callable[[bytes], bytes], pixels: int, memory_bytes: int, seconds: int) -> int:
    """Write what *work* makes of the input, within the limits; return the exit status, and name what is refused."""
    _limit(memory_bytes, seconds)
    Image.MAX_IMAGE_PIXELS = pixels
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = TEXT_BYTES
    try:
        answer = work(sys.stdin.buffer.read())
    except Refusal as refusal:
        reason = str(refusal)
    except UnidentifiedImageError:
        reason = UNSUPPORTED
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        reason = TOO_LARGE
    except Exception:  # noqa: BLE001  (the boundary: decoders raise whatever a broken file leads to)
        reason = DAMAGED
    else:
        sys.stdout.buffer.write(answer)
        return 0
    sys.stderr.write(reason)
    return 1


def redraw(data: bytes) -> Image.Image:
    """Return the pixels of a file, and nothing else of it, upright and in RGB."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        # A photograph may carry others behind the first (MPO), which are left out like all that is not its pixels.
        if picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1:
            raise Refusal(UNSUPPORTED)
        picture.load()
        flat = _flatten(picture)
        ImageOps.exif_transpose(flat, in_place=True)
        return Image.frombytes("RGB", flat.size, flat.tobytes())


def _answer(data: bytes) -> bytes:
    drawn = io.BytesIO()
    redraw(data).save(drawn, "PNG", compress_level=1)
    return drawn.getvalue()


def _limit(memory_bytes: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ValueError, OSError):  # macOS has no such limit; there the number of pixels alone bounds the memory
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _flatten(picture: Image.Image) -> Image.Image:
    """Return *picture* in RGB, on white where it is transparent, with what it says of its orientation."""
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
    sys.exit(main(*map(int, sys.argv[1:])))
