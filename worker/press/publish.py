"""The tail of a job: everything that happens to its pictures after the accelerator has made them.

The order is the promise: the exact pixels that would be published are checked first, and blurred if the policy says
so; only then are they encoded, marked, signed and shown to the hook (``worker.pictures.finish``), hashed and uploaded;
nothing touches the bytes after. What was blocked and is kept for a reviewer goes the same way, but sealed, and to where
no link leads.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from common.errors import RerollError, StorageError
from common.failpoints import fault
from common.ids import new_id
from common.images import similarity
from common.images.quarantine_encryption import Part, PictureSealer
from common.logs import get_logger
from common.storage.keys import attempt_prefix, image_key, quarantine_key, thumbnail_key
from common.tables import Image
from common.tables.states import ImageStatus
from common.usage.price import charge
from worker.engine.interface import Picture
from worker.pictures import palette as picture_palette
from worker.pictures.encode import preview
from worker.pictures.finish import File
from worker.pictures.safety_verdict import Judged
from worker.press.held_job import Work
from worker.press.press import Press

UPLOAD_TRIES = 5
UPLOAD_PAUSE_SECONDS = 0.5
SEALED_TYPE = "application/octet-stream"

log = get_logger(__name__)


@dataclass(frozen=True)
class Print:
    """A judged picture and, if it may leave or is kept for a reviewer, the file that it would leave as."""

    picture: Picture
    judged: Judged
    file: File | None


def publish(press: Press, work: Work, printed: list[Picture]) -> list[Image]:
    """Check, encode, mark and upload the pictures of a job; return the rows that will make them visible.

    All are checked before any is uploaded. Raises RerollError, SafetyUnavailableError, ProvenanceUnavailableError,
    StorageError, or what stops the work.
    """
    request = work.claim.request
    judged = [press.judge.judge(request, picture.pixels) for picture in printed]
    if work.claim.rerolls < press.settings.max_rerolls and press.judge.wants_reroll(request, judged):
        raise RerollError
    finish, job_id = press.finisher.finish, work.claim.job_id
    prints = [Print(picture, *finish(job_id, request, found)) for picture, found in zip(printed, judged, strict=True)]
    return [_upload(press, work, position, made) for position, made in enumerate(prints)]


def _upload(press: Press, work: Work, position: int, made: Print) -> Image:
    row = _describe(press, work, position, made)
    if row.status.is_readable:
        _see_colours(row, made, work.claim.palette)
    file = made.file
    if file is None:
        return row
    output_format = work.claim.request.output_format
    row.sha256 = hashlib.sha256(file.data).hexdigest()
    row.content_type = output_format.content_type
    row.bytes = len(file.data)
    row.signed = file.is_signed
    similarity.remember(row, file.seen)
    if row.status is ImageStatus.QUARANTINED:
        _seal(press, work, row.id, file)
        return row
    prefix = attempt_prefix(work.claim.owner, work.claim.job_id, work.claim.attempt)
    row.storage_key = image_key(prefix, position, row.sha256, output_format)
    row.thumbnail_key = thumbnail_key(prefix, position, row.sha256)
    _put(press, work, row.storage_key, file.data, row.content_type)
    _put(press, work, row.thumbnail_key, file.thumbnail, "image/webp")
    if position == 0:
        fault("uploaded_first")
    return row


def _seal(press: Press, work: Work, image_id: UUID, file: File) -> None:
    sealer = PictureSealer(press.settings.read_secret())
    parts = {Part.FULL: file.data, Part.THUMBNAIL: file.thumbnail, Part.PREVIEW: preview(file.thumbnail)}
    for part, data in parts.items():
        _put(press, work, quarantine_key(image_id, part), sealer.seal(image_id, part, data), SEALED_TYPE)


def _describe(press: Press, work: Work, position: int, made: Print) -> Image:
    """Return the row of a print as far as it is known before its upload; what is ours to bear has no price."""
    picture, judged, claim = made.picture, made.judged, work.claim
    most = None if claim.max_amount is None else claim.max_amount / claim.request.num_images
    charged = charge(picture.gpu_seconds, press.settings.gpu_price_per_hour, most if judged.is_charged else None)
    return Image(
        id=new_id(),
        job_id=work.claim.job_id,
        owner=work.claim.owner,
        attempt=work.claim.attempt,
        position=position,
        status=judged.status,
        seed=picture.seed,
        width=judged.pixels.width,
        height=judged.pixels.height,
        verdict=judged.verdict,
        safety=judged.safety,
        safety_mode=judged.mode,
        gpu_seconds=charged.gpu_seconds if judged.is_charged or not judged.status.is_readable else 0.0,
        overrun_seconds=charged.overrun_seconds,
        amount=charged.amount if judged.is_charged else Decimal(0),
        currency=press.settings.currency,
    )


def _see_colours(row: Image, made: Print, palette: Sequence[str]) -> None:
    colours = picture_palette.find_colours(made.judged.pixels)
    row.colours = [swatch.as_json() for swatch in colours]
    row.palette_score = picture_palette.score(colours, palette) if palette else None


def _put(press: Press, work: Work, key: str, data: bytes, content_type: str) -> None:
    """Store one object; a storage that fails is tried again while the job is ours: the picture need not be remade."""
    for tried in range(1, UPLOAD_TRIES + 1):
        work.go_on()
        try:
            press.storage.put(key, data, content_type)
        except StorageError as error:
            if tried == UPLOAD_TRIES:
                raise
            log.warning("upload_failed", tried=tried, reason=error.message)
            time.sleep(UPLOAD_PAUSE_SECONDS * 2 ** (tried - 1))
        else:
            return
