"""From judged pixels to the file that leaves: encoded, marked, signed, and shown to the hook; nothing touches it after.

What is kept for a reviewer goes the same way, so that its release needs neither a press nor a key.
"""

from dataclasses import dataclass
from uuid import UUID

from common.images.fingerprint import Fingerprint
from common.images.perceptual_hash import take_fingerprint
from common.jobs.request import ImageRequest
from common.logs import get_logger
from common.settings import Settings
from common.tables.states import ImageStatus
from worker.pictures import encode
from worker.pictures.mark import Mark
from worker.pictures.publication_hook import Hook, open_hook
from worker.pictures.safety_verdict import Judged
from worker.pictures.signing import Signer, open_signer

REFUSED_BY_HOOK = "hook"

log = get_logger(__name__)


@dataclass(frozen=True)
class File:
    """A picture as it would be published, its thumbnail, and what it looks like."""

    data: bytes
    thumbnail: bytes
    is_signed: bool
    seen: Fingerprint


class Finisher:
    """Makes files of what a press has printed and judged."""

    def __init__(self, signer: Signer, hook: Hook) -> None:
        self._signer = signer
        self._hook = hook

    def load(self) -> None:
        """Get ready to sign, or raise ProvenanceUnavailableError."""
        self._signer.load()

    def finish(self, job_id: UUID, request: ImageRequest, judged: Judged) -> tuple[Judged, File | None]:
        """Return what becomes of a picture, and its file unless it is blocked.

        Raises ProvenanceUnavailableError where it must be signed and cannot be, SafetyUnavailableError where the hook
        gives no answer.
        """
        if judged.status is ImageStatus.BLOCKED:
            return judged, None
        form, mark = request.output_format, Mark(job_id=job_id, model=request.model)
        marked = self._signer.sign(encode.encode(judged.pixels, form, mark), form.content_type, mark)
        if not self._hook.allows(marked.data, form.content_type, job_id):
            log.warning("image_refused", by=REFUSED_BY_HOOK)
            return judged.refuse(REFUSED_BY_HOOK), None
        seen = take_fingerprint(judged.pixels)
        return judged, File(marked.data, encode.thumbnail(judged.pixels, mark), marked.is_signed, seen)


def open_finisher(settings: Settings) -> Finisher:
    """Return the finisher of a press, by its settings."""
    return Finisher(open_signer(settings), open_hook(settings))
