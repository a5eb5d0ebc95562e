"""How a picture is handed in: as the one file of a form, and redrawn by a program of its own before anything else."""

import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import BoundedSemaphore
from typing import IO, Any

from flask import Request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]  # it ships no types
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from api.web.errors import RefusedError, refuse
from api.web.json_pointer import join
from api.web.problems import Fault
from api.web.strict_json import hurrying
from common.images.assets import PictureFile

FIELD = "file"
FORM_BYTES = 256 * 1024  # of a form around its file; more than the parser reads at a time, which it counts as text
FORM_PARTS = 8
FORM_SECONDS = 120

MOST_PIXELS = 4096 * 4096
REDRAWING = Path(__file__).with_name("sanitize_subprocess.py")
APPRAISING = Path(__file__).with_name("inspect_subprocess.py")
REDRAWING_BYTES = 768 * 2**20  # four times what the largest picture takes in colour and with alpha
REDRAWING_SECONDS = 10
PNG_SIZE = slice(16, 24)  # width and height, in the first chunk of every PNG (ISO/IEC 15948)

REFUSALS = {
    "unsupported_image": "must be one picture, not animated, as a PNG, JPEG or WebP file",
    "image_too_large": f"must have at most {MOST_PIXELS} pixels",
    "damaged_image": "is damaged or cut off, or takes too much to read",
}

_turns = BoundedSemaphore(2)
"""However many connections send pictures, only so many are redrawn at a time: each takes memory and a core."""

TURN_SECONDS = 10
"""How long one waits for its turn: files made to be slow must not keep every thread of the api."""


def receive(request: Request, most_bytes: int) -> PictureFile:
    """Return the picture of the form that *request* carries; raise RefusedError if there is none to be had from it."""
    with received(request, most_bytes) as file:
        return redraw(file)


@contextmanager
def received(request: Request, most_bytes: int) -> Iterator[IO[bytes]]:
    """Yield the file of the form that *request* carries, as it came; raise RefusedError if there is not just one."""
    _expect_form(request)
    request.max_content_length = most_bytes + FORM_BYTES
    with ExitStack() as opened:
        form, files = _read_form(request, lambda: opened.enter_context(tempfile.TemporaryFile()), most_bytes)
        faults = list(_find_faults(form, files))
        if faults:
            raise refuse(faults)
        file = files[FIELD].stream
        if file.seek(0, 2) > most_bytes:
            raise _too_large(most_bytes)
        file.seek(0)
        yield file


def redraw(file: IO[bytes]) -> PictureFile:
    """Return the picture in *file*, from where it stands, as a new PNG; raise RefusedError if it is none we take."""
    drawn = _look_into(file, REDRAWING)
    width, height = struct.unpack(">II", drawn[PNG_SIZE])
    return PictureFile(drawn, width, height)


def appraise(file: IO[bytes], anchors: Path) -> dict[str, Any]:
    """Return what ``inspect_subprocess`` says of the picture in *file*; raise RefusedError if it is none we take."""
    told: dict[str, Any] = json.loads(_look_into(file, APPRAISING, str(anchors.absolute())))
    return told


def _look_into(file: IO[bytes], program: Path, *words: str) -> bytes:
    """Return what *program* answers about the picture in *file*, from where it stands."""
    limits = (MOST_PIXELS, REDRAWING_BYTES, REDRAWING_SECONDS)
    # -I: nothing of the current folder can be imported there; no environment: no secret can leak from there.
    command = [sys.executable, "-I", str(program), *map(str, limits), *words]
    if not _turns.acquire(timeout=TURN_SECONDS):
        raise RefusedError("too_many_uploads", "Other pictures are being read; send this one again.")
    try:
        done = subprocess.run(
            command, stdin=file, capture_output=True, env={}, timeout=2 * REDRAWING_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise _refuse_file("damaged_image") from None
    finally:
        _turns.release()
    if done.returncode:
        reason = done.stderr.decode(errors="replace")
        raise _refuse_file(reason if reason in REFUSALS else "damaged_image")
    return done.stdout


def _expect_form(request: Request) -> None:
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
    with hurrying(request, FORM_SECONDS) as is_late:
        try:
            _, form, files = parser.parse(request.stream, *arguments)
        except RequestEntityTooLarge:
            raise _too_large(most_bytes) from None
        except (ClientDisconnected, OSError, ParseException, ValueError):
            if is_late():
                raise RefusedError("request_timeout", f"The body did not arrive in {FORM_SECONDS} seconds.") from None
            raise RefusedError("bad_request", "The body ended early, or is no form as its head says.") from None
    return form, files


def _find_faults(form: MultiDict[str, str], files: MultiDict[str, FileStorage]) -> Iterator[Fault]:
    place = join("", FIELD)
    for name in {*form, *files} - {FIELD}:
        yield Fault(code="unknown_field", detail=f"is unknown; the file's field is {FIELD}", pointer=join("", name))
    given = len(form.getlist(FIELD)) + len(files.getlist(FIELD))
    if not given:
        yield Fault(code="required", detail="is required", pointer=place)
    elif given > 1:
        yield Fault(code="duplicate_key", detail="must be given once", pointer=place)
    elif FIELD in form:
        yield Fault(code="type", detail="must be a file, with a filename", pointer=place)


def _refuse_file(code: str) -> RefusedError:
    return refuse([Fault(code=code, detail=REFUSALS[code], pointer=join("", FIELD))])


def _too_large(most_bytes: int) -> RefusedError:
    return RefusedError("body_too_large", f"The file may have {most_bytes} bytes, and the form little besides.")
