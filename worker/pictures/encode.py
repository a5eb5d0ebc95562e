"""Encode images as PNG, JPEG or WebP files with the provenance mark, and create thumbnails."""

import io
import struct
import zlib

from PIL import Image, ImageChops

from common.images.provenance import SOFTWARE, build_xmp_packet
from common.jobs.request import OutputFormat
from common.safety.blur import reduce_to_colour
from worker.pictures.mark import Mark

THUMBNAIL_SIDE = 256
JPEG_QUALITY = 90
WEBP_QUALITY = 85
WEBP_METHOD = 2  # half the time of Pillow's default 4, for 4 % more bytes

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EIGHT_BIT_RGB = (8, 2, 0, 0, 0)  # bit depth, colour type, compression, filter method, interlace
_FILTER_UP = b"\x02"


def encode_picture(picture: Image.Image, form: OutputFormat, mark: Mark) -> bytes:
    """Return the marked file of an RGB *picture*; a PNG decodes to exactly the same pixels."""
    if picture.mode != "RGB":
        raise ValueError(f"expected an RGB image, got {picture.mode}")
    match form:
        case OutputFormat.PNG:
            return _encode_png(picture, mark)
        case OutputFormat.JPEG:
            return _encode_with_pillow(picture, "JPEG", quality=JPEG_QUALITY, xmp=mark.as_xmp())
        case OutputFormat.WEBP:
            return _encode_with_pillow(picture, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD, xmp=mark.as_xmp())


def encode_thumbnail(picture: Image.Image, mark: Mark) -> bytes:
    """Return a marked WebP file of *picture*, no side longer than 256 pixels."""
    small = picture.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    return encode_picture(small, OutputFormat.WEBP, mark)


def encode_preview(thumbnail_file: bytes) -> bytes:
    """Return a marked WebP file for a reviewer: a single colour, see ``reduce_to_colour``."""
    with Image.open(io.BytesIO(thumbnail_file), formats=("WEBP",)) as seen:
        reduced = reduce_to_colour(seen)
    return _encode_with_pillow(reduced, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD, xmp=build_xmp_packet())


def _encode_with_pillow(picture: Image.Image, name: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


def _encode_png(picture: Image.Image, mark: Mark) -> bytes:
    """Encode a PNG file (ISO/IEC 15948) directly, with the filter Up on every row and run-length matches only.

    This is two and a half times as fast as Pillow's fastest level, which tries all filters per row, at the same size.
    """
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL + 1, zlib.Z_RLE)
    pixels = packer.compress(_filter_rows(picture)) + packer.flush()
    text = b"XML:com.adobe.xmp\0\0\0\0\0" + mark.as_xmp()  # keyword, not compressed, no language, no translation
    return b"".join(
        (
            _PNG_SIGNATURE,
            _encode_chunk(b"IHDR", struct.pack(">IIBBBBB", *picture.size, *_EIGHT_BIT_RGB)),
            _encode_chunk(b"tEXt", b"Software\0" + SOFTWARE.encode("latin-1")),
            _encode_chunk(b"iTXt", text),
            _encode_chunk(b"IDAT", pixels),
            _encode_chunk(b"IEND", b""),
        )
    )


def _filter_rows(picture: Image.Image) -> bytes:
    above = ImageChops.offset(picture, 0, 1)
    above.paste((0, 0, 0), (0, 0, picture.width, 1))  # the first row has no row above it
    differences = ImageChops.subtract_modulo(picture, above).tobytes()
    stride = 3 * picture.width
    return b"".join(_FILTER_UP + differences[at : at + stride] for at in range(0, len(differences), stride))


def _encode_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
