"""Receive uploaded images: read the single file of a form and redraw it in a subprocess before any other use."""

import json
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from flask import Request
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from api.auth.bearer import current_caller
from api.runtime.uploads import UploadRule
from api.web.errors import RefusedError, refuse_request
from api.web.owner_places import OwnerPlaces
from api.web.problems import FieldError, join_pointer
from common.images.assets import PictureFile
from common.launcher.subprocess_sandbox import FileRefusedError, Sandbox, SandboxBusyError

FIELD = "file"
FORM_BYTES = 256 * 1024  # for the form around its file; more than the parser's read size, which it counts as form text
FORM_PARTS = 8
FORM_SECONDS = 120

PICTURE_UPLOAD = UploadRule(lambda settings: settings.max_asset_bytes, FORM_SECONDS, FORM_BYTES)

MOST_PIXELS = 8192 * 6144
"""Of an upload: 50 megapixels, as in the photographs of today's phones; larger than needed, it is scaled down."""
SANITIZE_PROGRAM = Path(__file__).with_name("sanitize_subprocess.py")
INSPECT_PROGRAM = Path(__file__).with_name("inspect_subprocess.py")
PNG_SIZE = slice(16, 24)  # width and height, in the first chunk of every PNG (ISO/IEC 15948)

REFUSALS = {
    "unsupported_image": "must be a single, non-animated image in PNG, JPEG, WebP, HEIC or AVIF format",
    "image_too_large": "must not exceed 50 megapixels, such as 8192 × 6144; scale it down",
    "image_too_complex": "has too many scans, segments or chunks to decode; save it again with another program",
    "damaged_image": "is damaged, truncated or too expensive to decode",
}

BUSY = ("too_many_uploads", "Too many images are being processed; try again later.")

DECODERS = 4
_sandbox = Sandbox(
    memory_bytes=2**30,  # five times the size of the largest image in RGBA
    cpu_seconds=8,  # the most expensive honest images take two to three
    places=DECODERS,
    wait_seconds=10,  # so that files crafted to be slow cannot occupy every thread of the API
)
_places = OwnerPlaces(total=2 * DECODERS, share=max(1, DECODERS // 2))
"""Images being decoded or waiting for a decoder: no owner can hold all decoders, or all threads that wait for one."""


def receive_picture(request: Request, most_bytes: int) -> PictureFile:
    """Return the image uploaded in the form of *request*; raise RefusedError if it is missing or not valid."""
    with open_uploaded_file(request, most_bytes) as file:
        return sanitize_picture(file)


@contextmanager
def open_uploaded_file(request: Request, most_bytes: int) -> Iterator[IO[bytes]]:
    """Yield the unmodified file in the form of *request*; raise RefusedError unless there is exactly one."""
    _check_form_type(request)
    request.max_content_length = most_bytes + FORM_BYTES
    with ExitStack() as opened:
        form, files = _read_form(request, lambda: opened.enter_context(tempfile.TemporaryFile()), most_bytes)
        faults = list(_find_faults(form, files))
        if faults:
            raise refuse_request(faults)
        file = files[FIELD].stream
        if file.seek(0, 2) > most_bytes:
            raise RefusedError("body_too_large", _describe_limit(most_bytes))
        file.seek(0)
        yield file


def sanitize_picture(file: IO[bytes]) -> PictureFile:
    """Return the image in *file*, from its current position, as a new PNG; raise RefusedError if it is refused."""
    told, _, drawn = _run_program(file, SANITIZE_PROGRAM).partition(b"\n")
    width, height = struct.unpack(">II", drawn[PNG_SIZE])
    return PictureFile(drawn, width, height, json.loads(told))


def inspect_picture(file: IO[bytes], anchors: Path) -> dict[str, Any]:
    """Return what ``inspect_subprocess`` reports about the image in *file*; raise RefusedError if it is refused."""
    told: dict[str, Any] = json.loads(_run_program(file, INSPECT_PROGRAM, str(anchors.absolute())))
    return told


def _run_program(file: IO[bytes], program: Path, *arguments: str) -> bytes:
    """Return the output of *program* for the image in *file*, from its current position."""
    try:
        with _places.take(current_caller().owner, *BUSY):
            return _sandbox.run_program(program, file, str(MOST_PIXELS), *arguments)
    except SandboxBusyError:
        raise RefusedError(*BUSY) from None
    except FileRefusedError as error:
        raise _refuse_file(error.reason if error.reason in REFUSALS else "damaged_image") from None


def _check_form_type(request: Request) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusedError("content_encoding", "Send the body without Content-Encoding.")
    if request.mimetype != "multipart/form-data":
        raise RefusedError("unsupported_media_type", "Send the file as Content-Type: multipart/form-data.")


def _read_form(
    request: Request, open_file: Callable[[], IO[bytes]], most_bytes: int
) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
    parser = FormDataParser(
        stream_factory=lambda *_, **__: open_file(),
        max_form_memory_size=FORM_BYTES,
        max_form_parts=FORM_PARTS,
        silent=False,
    )
    arguments: tuple[Any, ...] = (request.mimetype, request.content_length, request.mimetype_params)
    try:
        _, form, files = parser.parse(request.stream, *arguments)
    except RequestEntityTooLarge:
        raise RefusedError("body_too_large", _describe_limit(most_bytes)) from None
    except ValueError:
        raise RefusedError("bad_request", "The body is incomplete or is not a valid multipart form.") from None
    return form, files


def _find_faults(form: MultiDict[str, str], files: MultiDict[str, FileStorage]) -> Iterator[FieldError]:
    place = join_pointer("", FIELD)
    for name in {*form, *files} - {FIELD}:
        yield FieldError(
            code="unknown_field",
            detail=f"is unknown; upload the file in the field {FIELD}",
            pointer=join_pointer("", name),
        )
    given = len(form.getlist(FIELD)) + len(files.getlist(FIELD))
    if not given:
        yield FieldError(code="required", detail="is required", pointer=place)
    elif given > 1:
        yield FieldError(code="duplicate_key", detail="must be given only once", pointer=place)
    elif FIELD in form:
        yield FieldError(code="type", detail="must be a file with a filename", pointer=place)


def _refuse_file(code: str) -> RefusedError:
    return refuse_request([FieldError(code=code, detail=REFUSALS[code], pointer=join_pointer("", FIELD))])


def _describe_limit(most_bytes: int) -> str:
    return f"The file must not exceed {most_bytes} bytes."
