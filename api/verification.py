"""``/v1/verify``: whether a picture was printed here, when, by which job, and whether it is as it was."""

import hashlib
from dataclasses import dataclass
from typing import Any

from flask import Response, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.auth.bearer import caller, needs
from api.runtime.context import services
from api.schemas.assets import NEW_ASSET
from api.schemas.verification import Candidate, Manifest, ManifestState, Recognition, Verification
from api.uploads import appraise, received
from api.web import responses
from common.images import similarity
from common.images.certificates import Credentials
from common.images.fingerprint import Fingerprint
from common.images.provenance import read_job_urn
from common.keys import Scope
from common.tables import Image, Job
from common.usage.usage import DELIVERED

blueprint = responses.create_blueprint("verification", "Where a picture comes from.", "/v1/verify")

MOST_CANDIDATES = 10


@dataclass(frozen=True)
class Found:
    """What a picture was recognised as."""

    by: Recognition
    job: Job
    image: Image | None = None  # unknown where the manifest names the job alone


@blueprint.post(
    "",
    request_body=NEW_ASSET,
    **responses.describe(Scope.JOBS_READ, {200: Verification}, 400, 408, 413, 415, 422, 429),
)
@needs(Scope.JOBS_READ)
def verify_picture() -> Response:
    """Tell what is known of a picture: one PNG, JPEG or WebP file. Nothing of it is kept."""
    context = services()
    with received(request, context.settings.max_asset_bytes) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # any file of bytes will do
        file.seek(0)
        told = appraise(file, Credentials.of(context.settings).chain)
    seen = Fingerprint(told["shape"], bytes.fromhex(told["look"]))
    with context.database.reading() as session:
        found = _find_file(session, digest) or _find_signed(session, told["manifest"])
        candidates = [] if found else similarity.find_copied(session, caller().owner, seen, MOST_CANDIDATES)
    return responses.answer(_answer(found, candidates, told["manifest"]))


def _find_file(session: Session, digest: str) -> Found | None:
    row = session.execute(
        select(Image, Job)
        .join(Job, Job.id == Image.job_id)
        .where(Image.sha256 == digest, Image.status.in_(DELIVERED))
        .order_by(Image.owner != caller().owner, Image.id)
        .limit(1)
    ).first()
    return Found(Recognition.FILE, row.Job, row.Image) if row is not None else None


def _find_signed(session: Session, manifest: dict[str, Any]) -> Found | None:
    job_id = read_job_urn(manifest.get("job")) if manifest.get("is_ours") else None
    job = session.get(Job, job_id) if job_id is not None else None
    return Found(Recognition.MANIFEST, job) if job is not None else None


def _answer(found: Found | None, candidates: list[similarity.Candidate], manifest: dict[str, Any]) -> Verification:
    is_owner = found is not None and found.job.owner == caller().owner
    printed_at = None
    if found is not None:
        printed_at = found.image.created_at if found.image else found.job.finished_at
    return Verification(
        printed_here=True if found else None if candidates else False,
        recognised_by=found.by if found else Recognition.LIKENESS if candidates else None,
        unchanged=found.by is Recognition.FILE if found else None,
        printed_at=printed_at,
        job_id=found.job.id if found and is_owner else None,
        image_id=found.image.id if found and is_owner and found.image else None,
        manifest=Manifest(
            state=ManifestState(manifest["state"]),
            signed_by=manifest.get("signed_by"),
            is_generated=manifest.get("is_generated"),
            faults=manifest.get("faults", []),
        ),
        candidates=[_show(each) for each in candidates],
    )


def _show(candidate: similarity.Candidate) -> Candidate:
    image = candidate.image
    return Candidate(image_id=image.id, job_id=image.job_id, printed_at=image.created_at, distance=candidate.distance)
