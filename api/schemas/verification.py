"""The JSON of what is known of a picture."""

from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.web.output import Output, Time


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
