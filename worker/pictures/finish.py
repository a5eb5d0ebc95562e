"""Produce the final file of a assessed image: encode, mark, sign and submit it to the publication hook.

Images kept for a reviewer take the same path, so that their release needs neither a press nor a key.
"""

from dataclasses import dataclass
from uuid import UUID

from common.images.fingerprint import Fingerprint
from common.images.perceptual_hash import compute_fingerprint
from common.jobs.request import ImageRequest
from common.logs import get_logger
from common.settings import Settings
from common.states.jobs import ImageStatus
from worker.pictures import encode
from worker.pictures.mark import Mark
from worker.pictures.publication_hook import Hook, open_hook
from worker.pictures.safety_verdict import AssessedPicture
from worker.pictures.signing import Signer, open_signer

REFUSED_BY_HOOK = "hook"

log = get_logger(__name__)


@dataclass(frozen=True)
class File:
    """The file to be published, its thumbnail, and its fingerprint and colours."""

    data: bytes
    thumbnail: bytes
    is_signed: bool
    seen: Fingerprint


class Finisher:
    """Turn a press's assessed images into files."""

    def __init__(self, signer: Signer, hook: Hook) -> None:
        self._signer = signer
        self._hook = hook

    def load(self) -> None:
        """Prepare the signer; raise ProvenanceUnavailableError if it cannot sign."""
        self._signer.load()

    def finish(
        self, job_id: UUID, request: ImageRequest, assessed: AssessedPicture
    ) -> tuple[AssessedPicture, File | None]:
        """Return the outcome for an image, and its file unless it is blocked.

        Raises ProvenanceUnavailableError if signing is required but fails, and SafetyUnavailableError if the hook does
        not answer.
        """
        if assessed.status is ImageStatus.BLOCKED:
            return assessed, None
        form, mark = request.output_format, Mark(job_id=job_id, model=request.model)
        marked = self._signer.sign(encode.encode_picture(assessed.pixels, form, mark), form.content_type, mark)
        if not self._hook.allows(marked.data, form.content_type, job_id):
            log.warning("image_refused", by=REFUSED_BY_HOOK)
            return assessed.refuse(REFUSED_BY_HOOK), None
        seen = compute_fingerprint(assessed.pixels)
        return assessed, File(marked.data, encode.encode_thumbnail(assessed.pixels, mark), marked.is_signed, seen)


def open_finisher(settings: Settings) -> Finisher:
    """Build the finisher from the settings of a press."""
    return Finisher(open_signer(settings), open_hook(settings))
