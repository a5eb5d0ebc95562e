"""``/v1/verify``: whether a picture was printed here, when, by which job, and whether it is as it was."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from flask import Response, request
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.auth.bearer import caller, needs
from api.images.asset_schemas import NEW_ASSET
from api.images.uploads import appraise, received
from api.runtime.context import services
from api.web import responses
from api.web.output import Output, Time
from common.images import similarity
from common.images.certificates import Credentials
from common.images.fingerprint import Fingerprint
from common.images.provenance import read_job_urn
from common.keys import Scope
from common.tables import Image, Job
from common.usage.usage import DELIVERED


class ManifestState(StrEnum):
    """What the signed manifest of a file is worth."""

    TRUSTED = "trusted"  # sound, and signed by whoever runs this service
    VALID = "valid"  # sound, and signed by somebody else
    INVALID = "invalid"  # the file, or the manifest, was changed since
    ABSENT = "absent"  # there is none
    UNREADABLE = "unreadable"  # there is one that nothing can be made of, or nothing here that could read it


class Recognition(StrEnum):
    """By what a picture was recognised."""

    FILE = "file"  # it is, byte by byte, a file that was published here
    MANIFEST = "manifest"  # it carries a manifest that was signed here; the file was changed since
    LIKENESS = "likeness"  # it looks like images of the caller


class Manifest(Output):
    """What the signed manifest (C2PA) of a picture says."""

    state: ManifestState
    signed_by: str | None = Field(description="The organisation that the certificate names.")
    is_generated: bool | None = Field(description="Whether it says that a trained algorithm made the picture.")
    faults: list[str] = Field(description="C2PA's codes for what is wrong.")


class Candidate(Output):
    """An image of the caller that the picture may be a copy of."""

    image_id: UUID
    job_id: UUID
    printed_at: Time
    distance: int = Field(description="Of the 64 bits that say what it looks like, those that differ.")


class Verification(Output):
    """What is known here of a picture."""

    object: Literal["verification"] = "verification"
    printed_here: bool | None = Field(description="Null: it may have been, `candidates` tell of what it is a copy.")
    recognised_by: Recognition | None
    unchanged: bool | None = Field(description="Whether the file is as it was published; null unless printed here.")
    printed_at: Time | None
    job_id: UUID | None = Field(description="Told to its owner alone.")
    image_id: UUID | None = Field(description="Told to its owner alone.")
    manifest: Manifest
    candidates: list[Candidate] = Field(description="The nearest first; images of the caller alone.")


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
