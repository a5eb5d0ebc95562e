"""``/v1/verify``: report whether an image was generated here, when, by which job, and whether it was changed."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from flask import Response, request
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.auth.bearer import current_caller, scope_required
from api.images.asset_schemas import NEW_ASSET
from api.images.uploads import PICTURE_UPLOAD, inspect_picture, open_uploaded_file
from api.runtime.context import current_context
from api.runtime.uploads import takes_upload
from api.web import responses
from api.web.output import Output, Time
from common.access.keys import Scope
from common.images import similarity
from common.images.certificates import Credentials
from common.images.fingerprint import Fingerprint
from common.images.provenance import parse_job_urn
from common.tables import Image, Job
from common.usage.lines import DELIVERED


class ManifestState(StrEnum):
    """The validity of a file's signed manifest."""

    TRUSTED = "trusted"  # valid and signed by the operator of this service
    VALID = "valid"  # valid and signed by another party
    INVALID = "invalid"  # the file or the manifest was changed after signing
    ABSENT = "absent"  # the file has no manifest
    UNREADABLE = "unreadable"  # the manifest cannot be parsed, or no reader is installed


class Recognition(StrEnum):
    """How an image was recognised."""

    FILE = "file"  # byte-for-byte identical to a file published here
    MANIFEST = "manifest"  # carries a manifest signed here; the file was changed since
    LIKENESS = "likeness"  # looks like images of the caller


class Manifest(Output):
    """The signed manifest (C2PA) of an image."""

    state: ManifestState
    signed_by: str | None = Field(description="Organisation named in the certificate.")
    is_generated: bool | None = Field(
        description="Whether the manifest states that a trained algorithm generated the image."
    )
    faults: list[str] = Field(description="C2PA validation failure codes.")


class Candidate(Output):
    """An image of the caller that the uploaded image may be a copy of."""

    image_id: UUID
    job_id: UUID
    printed_at: Time
    distance: int = Field(description="Number of differing bits between the 64-bit perceptual hashes.")


class Verification(Output):
    """The result of verifying an image."""

    object: Literal["verification"] = "verification"
    printed_here: bool | None = Field(
        description="Null if unknown: the image may be a copy of one of the `candidates`."
    )
    recognised_by: Recognition | None
    unchanged: bool | None = Field(
        description="Whether the file is identical to the published one; null unless it was printed here."
    )
    printed_at: Time | None
    job_id: UUID | None = Field(description="Returned to the owner only.")
    image_id: UUID | None = Field(description="Returned to the owner only.")
    manifest: Manifest
    candidates: list[Candidate] = Field(description="Similar images of the caller, closest first.")


blueprint = responses.create_blueprint("verification", "Image provenance.", "/v1/verify")

MOST_CANDIDATES = 10


@dataclass(frozen=True)
class RecognizedPicture:
    """The job and image that an uploaded image was matched to."""

    by: Recognition
    job: Job
    image: Image | None = None  # unknown if the manifest names only the job


@blueprint.post(
    "",
    request_body=NEW_ASSET,
    **responses.describe_route(Scope.JOBS_READ, {200: Verification}, 400, 408, 413, 415, 422, 429),
)
@scope_required(Scope.JOBS_READ)
@takes_upload(PICTURE_UPLOAD)
def verify_picture() -> Response:
    """Verify a PNG, JPEG or WebP image. The upload is not stored."""
    context = current_context()
    with open_uploaded_file(request, context.settings.max_asset_bytes) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # any file of bytes will do
        file.seek(0)
        told = inspect_picture(file, Credentials.of(context.settings).chain)
    seen = Fingerprint(told["shape"], bytes.fromhex(told["look"]))
    with context.database.reading() as session:
        found = _find_by_digest(session, digest) or _find_by_manifest(session, told["manifest"])
        candidates = [] if found else similarity.list_similar(session, current_caller().owner, seen, MOST_CANDIDATES)
    return responses.respond_json(_serialize_verification(found, candidates, told["manifest"]))


def _find_by_digest(session: Session, digest: str) -> RecognizedPicture | None:
    row = session.execute(
        select(Image, Job)
        .join(Job, Job.id == Image.job_id)
        .where(Image.sha256 == digest, Image.status.in_(DELIVERED))
        .order_by(Image.owner != current_caller().owner, Image.id)
        .limit(1)
    ).first()
    return RecognizedPicture(Recognition.FILE, row.Job, row.Image) if row is not None else None


def _find_by_manifest(session: Session, manifest: dict[str, Any]) -> RecognizedPicture | None:
    job_id = parse_job_urn(manifest.get("job")) if manifest.get("is_ours") else None
    job = session.get(Job, job_id) if job_id is not None else None
    return RecognizedPicture(Recognition.MANIFEST, job) if job is not None else None


def _serialize_verification(
    found: RecognizedPicture | None, candidates: list[similarity.Candidate], manifest: dict[str, Any]
) -> Verification:
    is_owner = found is not None and found.job.owner == current_caller().owner
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
        candidates=[_serialize_candidate(each) for each in candidates],
    )


def _serialize_candidate(candidate: similarity.Candidate) -> Candidate:
    image = candidate.image
    return Candidate(image_id=image.id, job_id=image.job_id, printed_at=image.created_at, distance=candidate.distance)
