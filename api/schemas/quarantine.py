"""The JSON of quarantine: blocked pictures that wait for a reviewer."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from api import texts
from api.schemas.images import Safety
from api.web.output import Output, Time
from api.web.validation import Body, Id, Parsed, Path, Query
from common.tables.quarantine import QuarantineState, ReviewAct
from common.tables.states import ImageStatus

LONGEST_NOTE = 500


class Review(Output):
    """One act at a picture in quarantine."""

    act: ReviewAct
    key_id: UUID | None = Field(description="By which key; null: the service itself, when nobody decided in time.")
    note: str
    created_at: Time


class QuarantinedImage(Output):
    """A blocked picture that is, or was, kept for a reviewer."""

    id: UUID = Field(description="The id of the image.")
    object: Literal["quarantined_image"] = "quarantined_image"
    state: QuarantineState
    image_status: ImageStatus
    job_id: UUID
    owner: str
    width: int
    height: int
    safety: Safety
    created_at: Time
    expires_at: Time = Field(description="When it is deleted, unless a reviewer has decided before.")
    ended_at: Time | None
    reviews: list[Review] = Field(description="Every look and every decision, the first first; empty in a list.")


class QuarantinedImageList(Output):
    """A page of quarantined pictures, the newest first."""

    object: Literal["list"] = "list"
    data: list[QuarantinedImage]
    has_more: bool
    next: str | None = Field(description="The `cursor` of the next page.")


class QuarantinePath(Path):
    """Names a picture in quarantine by its image's id."""

    image_id: Id


class QuarantineQuery(Query):
    """Which pictures to list."""

    state: QuarantineState | None = Field(None, description="Only pictures in this state.")
    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Pictures a page.")
    cursor: str | None = Field(None, description="`next` of the page before.", json_schema_extra={"format": "cursor"})


class Decision(Body):
    """Why a reviewer decides so."""

    note: (
        Annotated[
            str,
            Field(max_length=LONGEST_NOTE, json_schema_extra={"pattern": texts.PLAIN_PATTERN}),
            AfterValidator(texts.clean),
        ]
        | None
    ) = Field(None, description="For whoever reads the record later.")
