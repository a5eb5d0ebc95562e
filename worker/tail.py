"""The tail of a job: everything that happens to its pictures after the accelerator has made them.

The order is the promise: the exact pixels that would be published are checked first; only then are they encoded and
marked, hashed and uploaded; nothing touches the bytes after the hash.
"""

import hashlib
import time
from dataclasses import dataclass
from decimal import Decimal

from common.costs import price
from common.errors import StorageError
from common.faults import fault
from common.logs import get_logger
from common.models import Image
from common.objects import attempt_prefix, image_key, thumbnail_key
from common.states import ImageStatus, Verdict
from worker import pictures
from worker.checks.port import Finding, examine
from worker.engine.port import Picture
from worker.marking import Mark
from worker.press import Press
from worker.work import Work

UPLOAD_TRIES = 5
UPLOAD_PAUSE_SECONDS = 0.5

log = get_logger(__name__)


@dataclass(frozen=True)
class Print:
    """A checked picture and, if it may leave, the bytes that will."""

    picture: Picture
    finding: Finding
    data: bytes = b""
    thumbnail: bytes = b""

    @property
    def may_leave(self) -> bool:
        """Tell whether the checker let the picture through."""
        return self.finding.verdict is not Verdict.BLOCK


def publish(press: Press, work: Work, printed: list[Picture]) -> list[Image]:
    """Check, encode, mark and upload the pictures of a job; return the rows that will make them visible.

    All are checked before any is uploaded. Raises SafetyUnavailableError, StorageError, or what stops the work.
    """
    checked = [(picture, examine(press.checker, picture.pixels)) for picture in printed]
    prints = [_encode(work, picture, finding) for picture, finding in checked]
    return [_upload(press, work, position, made) for position, made in enumerate(prints)]


def _encode(work: Work, picture: Picture, finding: Finding) -> Print:
    if finding.verdict is Verdict.BLOCK:
        return Print(picture, finding)
    request = work.claim.request
    mark = Mark(job_id=work.claim.job_id, model=request.model)
    data = pictures.encode(picture.pixels, request.output_format, mark)
    return Print(picture, finding, data, pictures.thumbnail(picture.pixels, mark))


def _upload(press: Press, work: Work, position: int, made: Print) -> Image:
    row = _describe(press, work, position, made)
    if not made.may_leave:
        return row
    output_format = work.claim.request.output_format
    prefix = attempt_prefix(work.claim.owner, work.claim.job_id, work.claim.attempt)
    row.sha256 = hashlib.sha256(made.data).hexdigest()
    row.storage_key = image_key(prefix, position, row.sha256, output_format)
    row.thumbnail_key = thumbnail_key(prefix, position, row.sha256)
    row.content_type = output_format.content_type
    row.bytes = len(made.data)
    _put(press, work, row.storage_key, made.data, row.content_type)
    _put(press, work, row.thumbnail_key, made.thumbnail, "image/webp")
    if position == 0:
        fault("uploaded_first")
    return row


def _describe(press: Press, work: Work, position: int, made: Print) -> Image:
    """Return the row of a print as far as it is known before its upload; a blocked one has no price."""
    picture, settings = made.picture, press.settings
    return Image(
        job_id=work.claim.job_id,
        owner=work.claim.owner,
        attempt=work.claim.attempt,
        position=position,
        status=ImageStatus.DELIVERED if made.may_leave else ImageStatus.BLOCKED,
        seed=picture.seed,
        width=picture.pixels.width,
        height=picture.pixels.height,
        verdict=made.finding.verdict,
        safety=made.finding.as_json(),
        gpu_seconds=picture.gpu_seconds,
        amount=price(picture.gpu_seconds, settings.gpu_price_per_hour) if made.may_leave else Decimal(0),
        currency=settings.currency,
    )


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
