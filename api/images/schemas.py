"""JSON schemas of images, their cost and their safety policy."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from api.web.output import Amount, Output, Time
from api.web.validation import STYLE_REFERENCE, Body, Id, Moment, Parsed, Path, Query
from common.safety.policy import Recourse, ReviewAction
from common.states.jobs import ImageStatus, SafetyMode, Verdict


class Cost(Output):
    """The amount charged: accelerator seconds and their price."""

    gpu_seconds: float
    amount: Amount
    currency: str


class Policy(Output):
    """The checker and thresholds that an image was judged by."""

    version: str | None = Field(
        description="Version of the policy and checker; the same for all images judged by them."
    )
    checker: str | None
    digest: str | None
    thresholds: dict[str, float]


class Safety(Output):
    """The result of the safety check of an image."""

    mode: SafetyMode = Field(description="`off`: the operator disabled the safety check, so the image was not checked.")
    verdict: Verdict
    scores: dict[str, float]
    reason: str | None = Field(description="`hook` if the image was blocked by the hook rather than by the checker.")
    policy: Policy
    is_fallback: bool = Field(description="Whether this is a fallback image, in place of a blocked one.")
    released_at: Time | None = Field(description="When a reviewer released the image from quarantine.")


class Colour(Output):
    """A dominant colour of an image and its share."""

    colour: str = Field(description="Colour such as `#ff8800`.")
    share: float = Field(description="Share of the image, from 0 to 1.")


class PromptTokens(Output):
    """How much of a prompt the model reads. A token is a word or a part of one."""

    read: int = Field(description="Number of tokens that the model reads.")
    dropped: int = Field(description="Number of tokens at the end of the prompt that do not fit and have no effect.")


class Image(Output):
    """One image of a job."""

    id: UUID
    object: Literal["image"] = "image"
    job_id: UUID
    index: int
    status: ImageStatus
    url: str | None = Field(description="Link that requires no API key; null unless the image was published.")
    thumbnail_url: str | None
    url_expires_at: Time | None
    seed: int
    width: int
    height: int
    content_type: str | None
    bytes: int | None
    sha256: str | None
    signed: bool | None = Field(description="Whether the file contains a signed manifest (C2PA); null without a file.")
    safety: Safety
    colours: list[Colour] = Field(description="Dominant colours, largest share first; empty if the image was blocked.")
    palette_score: float | None = Field(
        description="How well the image matches the job's palette, from 0 to 1; 1 means that only palette colours"
        " are used. Null if the job has no palette."
    )
    prompt_tokens: PromptTokens | None = Field(
        description="How much of the prompt the model has read; null if that is not known."
    )
    cost: Cost
    created_at: Time


class ImagePath(Path):
    """The ID of an image."""

    image_id: Id


class ImageQuery(Query):
    """The filters of a list of images."""

    status: ImageStatus | None = Field(None, description="Only images with this status. Defaults to all except erased.")
    verdict: Verdict | None = Field(None, description="Only images with this safety verdict.")
    model: str | None = Field(None, description="Only images of this model.", max_length=64)
    style: str | None = Field(
        None,
        description="Only images in this style: `name` for all its versions, or `name@3`.",
        pattern=STYLE_REFERENCE,
    )
    job_id: Id | None = Field(None, description="Only images of this job.")
    campaign_id: Id | None = Field(None, description="Only images of this campaign.")
    since: Moment | None = Field(None, alias="from", description="Only images created at or after this time.")
    until: Moment | None = Field(None, alias="to", description="Only images created before this time.")
    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Maximum number of images per page.")
    cursor: str | None = Field(
        None, description="The `next` value of the previous page.", json_schema_extra={"format": "cursor"}
    )


class ImageList(Output):
    """A page of images, newest first."""

    object: Literal["list"] = "list"
    data: list[Image]
    has_more: bool
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


class ContentQuery(Query):
    """The variant of an image to download."""

    variant: Literal["full", "thumbnail"] = Field(
        "full", description="`full`: the image; `thumbnail`: a WebP of at most 256 px."
    )


BINARY: dict[str, Any] = {"type": "string", "format": "binary"}


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class NewSafety(Body):
    """A stricter safety policy for the images of a job. It cannot be loosened."""

    mode: Annotated[SafetyMode, Field(strict=False)] | None = Field(
        None, description="Must match the setting of this service; a request cannot enable or disable the safety check."
    )
    review_above: Share | None = Field(None, description="Score at or above which an image is in the review band.")
    block_above: Share | None = Field(None, description="Score at or above which an image is blocked.")
    review_action: Annotated[ReviewAction, Field(strict=False)] | None = Field(
        None, description="Action for an image in the review band, from least to most strict: `flag`, `blur`, `block`."
    )
    on_block: Annotated[Recourse, Field(strict=False)] | None = Field(
        None,
        description="`fail`: the job fails if all images are blocked; `reroll`: if all images are blocked, the job is"
        " retried a few times with other seeds; `fallback`: the service's fallback image replaces each blocked image.",
    )


class JobSafety(Output):
    """The safety policy of a job."""

    mode: SafetyMode = Field(description="`off`: the operator disabled the safety check, so images are not checked.")
    review_above: float
    block_above: float
    review_action: ReviewAction
    on_block: Recourse
