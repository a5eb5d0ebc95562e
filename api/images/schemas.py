"""The JSON of a job's policy: what may be asked for, and what holds."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from api.web.output import Amount, Output, Time
from api.web.text_fields import STYLE_REFERENCE
from api.web.validation import Body, Id, Moment, Parsed, Path, Query
from common.safety.policy import Recourse, ReviewAction
from common.tables.states import ImageStatus, SafetyMode, Verdict


class Cost(Output):
    """What was charged: accelerator seconds, and their price."""

    gpu_seconds: float
    amount: Amount
    currency: str


class Policy(Output):
    """By which check and thresholds an image was judged."""

    version: str | None = Field(description="The same for all that was judged by the same policy and checker.")
    checker: str | None
    digest: str | None
    thresholds: dict[str, float]


class Safety(Output):
    """What the safety check said of an image."""

    mode: SafetyMode = Field(description="`off`: the operator has switched the check off, and nothing looked at it.")
    verdict: Verdict
    scores: dict[str, float]
    reason: str | None = Field(description="Who blocked it, if not the checker: `hook`.")
    policy: Policy
    is_fallback: bool = Field(description="Whether this is the service's own picture in the place of a blocked one.")
    released_at: Time | None = Field(description="When a reviewer let it out of quarantine.")


class Colour(Output):
    """A colour of a picture, and how much of it has it."""

    colour: str = Field(description="As in `#ff8800`.")
    share: float = Field(description="From 0 to 1.")


class Image(Output):
    """One image of a job."""

    id: UUID
    object: Literal["image"] = "image"
    job_id: UUID
    index: int
    status: ImageStatus
    url: str | None = Field(description="A link that needs no key; null unless the image was published.")
    thumbnail_url: str | None
    url_expires_at: Time | None
    seed: int
    width: int
    height: int
    content_type: str | None
    bytes: int | None
    sha256: str | None
    signed: bool | None = Field(
        description="Whether the file holds a signed manifest (C2PA); null if there is no file."
    )
    safety: Safety
    colours: list[Colour] = Field(description="Its dominant colours, the largest share first; empty if it was blocked.")
    palette_score: float | None = Field(
        description="How well it keeps to the job's palette: 1 says that every part of it has one of the palette's"
        " colours. Null if the job has no palette."
    )
    cost: Cost
    created_at: Time


class ImagePath(Path):
    """Names an image."""

    image_id: Id


class ImageQuery(Query):
    """Which images to list."""

    status: ImageStatus | None = Field(None, description="Only images with this status; by default all but erased.")
    verdict: Verdict | None = Field(None, description="Only images of which the safety check said this.")
    model: str | None = Field(None, description="Only images of this model.", max_length=64)
    style: str | None = Field(
        None,
        description="Only images in this style: `name` for all its versions, or `name@3`.",
        pattern=STYLE_REFERENCE,
    )
    job_id: Id | None = Field(None, description="Only images of this job.")
    campaign_id: Id | None = Field(None, description="Only images of this campaign.")
    since: Moment | None = Field(None, alias="from", description="Only images made at this time or later.")
    until: Moment | None = Field(None, alias="to", description="Only images made before this time.")
    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Images a page.")
    cursor: str | None = Field(None, description="`next` of the page before.", json_schema_extra={"format": "cursor"})


class ImageList(Output):
    """A page of images, the newest first."""

    object: Literal["list"] = "list"
    data: list[Image]
    has_more: bool
    next: str | None = Field(description="The `cursor` of the next page.")


class ContentQuery(Query):
    """Which of an image's files."""

    variant: Literal["full", "thumbnail"] = Field("full", description="The image itself, or a WebP of 256 px at most.")


BINARY: dict[str, Any] = {"type": "string", "format": "binary"}


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class NewSafety(Body):
    """How much more strictly than usual the pictures of a job are judged; nothing can be made looser."""

    mode: Annotated[SafetyMode, Field(strict=False)] | None = Field(
        None, description="As this service has it; nobody can switch the check off, or on where it is off."
    )
    review_above: Share | None = Field(None, description="Score from which a picture is in the review band.")
    block_above: Share | None = Field(None, description="Score from which a picture is blocked.")
    review_action: Annotated[ReviewAction, Field(strict=False)] | None = Field(
        None, description="What happens to a picture in the review band, from lax to strict: flag, blur, block."
    )
    on_block: Annotated[Recourse, Field(strict=False)] | None = Field(
        None,
        description="What becomes of the job: `fail` if all was blocked; `reroll`: if all was blocked, it is printed"
        " again from other seeds a few times; `fallback`: the service's own picture takes the place of each that was"
        " blocked.",
    )


class JobSafety(Output):
    """By what a job's pictures are judged."""

    mode: SafetyMode = Field(description="`off`: the operator has switched the check off, and nothing is looked at.")
    review_above: float
    block_above: float
    review_action: ReviewAction
    on_block: Recourse
