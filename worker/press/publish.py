"""The tail of a job: everything that happens to its images after the accelerator has generated them.

The order is guaranteed: the exact pixels to be published are checked first, and blurred if the policy says so. Only
then are they encoded, marked, signed and sent to the hook (``worker.pictures.finish``), hashed and uploaded. Nothing
changes the bytes after that. Blocked images kept for a reviewer take the same path, but are encrypted and stored where
no link is issued.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from uuid import UUID

from common.db.ids import create_id
from common.errors import RerollError, StorageError
from common.failpoints import failpoint
from common.images import similarity
from common.images.quarantine_encryption import FilePart, PictureCipher
from common.logs import get_logger
from common.states.jobs import ImageStatus
from common.storage.keys import build_attempt_prefix, build_image_key, build_quarantine_key, build_thumbnail_key
from common.tables import Image
from common.usage.price import Charge, compute_charge
from worker.engine.interface import Picture
from worker.pictures import palette as picture_palette
from worker.pictures.encode import encode_preview
from worker.pictures.finish import File
from worker.pictures.safety_verdict import AssessedPicture, Billing
from worker.press.held_job import HeldJob
from worker.press.init_images import fetch_fallback
from worker.press.press import Press

UPLOAD_TRIES = 5
UPLOAD_PAUSE_SECONDS = 0.5
ENCRYPTED_TYPE = "application/octet-stream"

log = get_logger(__name__)


@dataclass(frozen=True)
class FinishedPicture:
    """An assessed image and, if it is published or kept for a reviewer, its file."""

    picture: Picture
    assessed: AssessedPicture
    file: File | None


def publish_images(press: Press, work: HeldJob, printed: list[Picture]) -> list[Image]:
    """Check, encode, mark and upload a job's images; return the rows that make them visible.

    All images are checked before any is uploaded. Raises RerollError, SafetyUnavailableError,
    ProvenanceUnavailableError, StorageError, or the error that interrupts the work.
    """
    request = work.claim.request
    assessed = _replace_blocked(press, work, [press.safety.assess(request, each.pixels) for each in printed])
    if work.claim.rerolls < press.settings.max_rerolls and press.safety.wants_reroll(request, assessed):
        raise RerollError
    finish, job_id = press.finisher.finish, work.claim.job_id
    prints = [
        FinishedPicture(picture, *finish(job_id, request, found))
        for picture, found in zip(printed, assessed, strict=True)
    ]
    return [_upload_picture(press, work, position, made) for position, made in enumerate(prints)]


def _replace_blocked(press: Press, work: HeldJob, assessed: list[AssessedPicture]) -> list[AssessedPicture]:
    """Return the images with the job's own fallback image in place of the blocked ones, if it names one that passes."""
    if work.claim.request.fallback_image is None or all(each.status.is_readable for each in assessed):
        return assessed
    fallback = fetch_fallback(press, work)
    if fallback is None:
        return assessed
    return [
        each if each.status.is_readable else press.safety.replace_blocked(work.claim.request, each, fallback)
        for each in assessed
    ]


def _upload_picture(press: Press, work: HeldJob, position: int, made: FinishedPicture) -> Image:
    row = _build_image_row(press, work, position, made)
    if row.status.is_readable:
        _measure_colours(row, made, work.claim.palette)
    file = made.file
    if file is None:
        return row
    output_format = work.claim.request.output_format
    row.sha256 = hashlib.sha256(file.data).hexdigest()
    row.content_type = output_format.content_type
    row.bytes = len(file.data)
    row.signed = file.is_signed
    similarity.store_fingerprint(row, file.seen)
    if row.status is ImageStatus.QUARANTINED:
        _upload_encrypted(press, work, row.id, file)
        return row
    prefix = build_attempt_prefix(work.claim.owner, work.claim.job_id, work.claim.attempt)
    row.storage_key = build_image_key(prefix, position, row.sha256, output_format)
    row.thumbnail_key = build_thumbnail_key(prefix, position, row.sha256)
    _put_object(press, work, row.storage_key, file.data, row.content_type)
    _put_object(press, work, row.thumbnail_key, file.thumbnail, "image/webp")
    if position == 0:
        failpoint("uploaded_first")
    return row


def _upload_encrypted(press: Press, work: HeldJob, image_id: UUID, file: File) -> None:
    cipher = PictureCipher(press.settings.read_secret())
    parts = {
        FilePart.FULL: file.data,
        FilePart.THUMBNAIL: file.thumbnail,
        FilePart.PREVIEW: encode_preview(file.thumbnail),
    }
    for part, data in parts.items():
        _put_object(
            press, work, build_quarantine_key(image_id, part), cipher.seal(image_id, part, data), ENCRYPTED_TYPE
        )


def _build_image_row(press: Press, work: HeldJob, position: int, made: FinishedPicture) -> Image:
    """Return an image's row as known before its upload."""
    picture, assessed, claim = made.picture, made.assessed, work.claim
    most = None if claim.max_amount is None else claim.max_amount / claim.request.num_images
    charge = charge_picture(assessed.billing, picture.gpu_seconds, press.settings.gpu_price_per_hour, most)
    return Image(
        id=create_id(),
        job_id=work.claim.job_id,
        owner=work.claim.owner,
        attempt=work.claim.attempt,
        position=position,
        status=assessed.status,
        seed=picture.seed,
        width=assessed.pixels.width,
        height=assessed.pixels.height,
        verdict=assessed.verdict,
        safety=assessed.safety,
        safety_mode=assessed.mode,
        gpu_seconds=charge.gpu_seconds,
        overrun_seconds=charge.overrun_seconds,
        amount=charge.amount,
        currency=press.settings.currency,
        prompt_tokens=None if picture.tokens is None else asdict(picture.tokens),
    )


def charge_picture(billing: Billing, gpu_seconds: float, price_per_hour: Decimal, most: Decimal | None) -> Charge:
    """Return what an image costs; *most* is the highest amount that its job allows for it, if it has a limit."""
    match billing:
        case Billing.CHARGED:
            return compute_charge(gpu_seconds, price_per_hour, most)
        case Billing.BLOCKED:
            return Charge(Decimal(0), gpu_seconds)
        case Billing.REPLACED:
            return Charge(Decimal(0), 0.0)


def _measure_colours(row: Image, made: FinishedPicture, palette: Sequence[str]) -> None:
    colours = picture_palette.find_colours(made.assessed.pixels)
    row.colours = [swatch.as_json() for swatch in colours]
    row.palette_score = picture_palette.score_palette(colours, palette) if palette else None


def _put_object(press: Press, work: HeldJob, key: str, data: bytes, content_type: str) -> None:
    """Store one object, retrying while this press holds the job, so that the image is not generated twice."""
    for tried in range(1, UPLOAD_TRIES + 1):
        work.check_interruption()
        try:
            press.storage.put(key, data, content_type)
        except StorageError as error:
            if tried == UPLOAD_TRIES:
                raise
            log.warning("upload_failed", tried=tried, reason=error.message)
            time.sleep(UPLOAD_PAUSE_SECONDS * 2 ** (tried - 1))
        else:
            return
