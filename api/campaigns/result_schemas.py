"""JSON schemas of a campaign's results: one line per image of each recipient."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from api.campaigns.schemas import CampaignPath
from api.images.schemas import Colour
from api.web.output import Amount, Output, Time
from api.web.validation import Parsed, Query
from common.campaigns.results.archive import USUAL_PATTERN
from common.campaigns.results.lines import LineStatus, PictureSource
from common.states.jobs import Verdict

MOST_ON_SHEET = 100


class LineSafety(Output):
    """The safety verdict for an image."""

    verdict: Verdict
    score: float | None = Field(description="The highest safety score.")


class LineCost(Output):
    """The cost of an image to the campaign."""

    amount: Amount
    currency: str


class LineError(Output):
    """The reason why an image is missing."""

    code: str
    message: str | None
    retryable: bool | None


class ResultLine(Output):
    """The result of one image of one recipient."""

    recipient_id: str
    list_number: int = Field(description="Number of the uploaded recipient list.")
    row: int = Field(description="Row number in that list; the first row after the header is 1.")
    index: int = Field(description="Index of the image among the recipient's images, from 0.")
    variant: str
    style: str | None = Field(description="The style version used.")
    status: LineStatus
    picture: PictureSource | None = Field(
        description="Origin of the image: `own`; `shared` if it was printed once for several identical requests;"
        " `fallback` if it replaces a blocked image."
    )
    link: str | None = Field(description="Public link to the image, if links were created for the campaign.")
    image_id: UUID | None
    image_url: str | None = Field(description="URL of the image; requires an API key.")
    seed: int | None
    width: int | None
    height: int | None
    safety: LineSafety | None
    colours: list[Colour]
    palette_score: float | None
    cost: LineCost
    rerolls: int = Field(description="Number of re-rolls with another seed.")
    error: LineError | None
    values: dict[str, str] = Field(description="The recipient's values by column, as uploaded.")


class RecipientPath(CampaignPath):
    """The IDs of a campaign and of one of its recipients."""

    recipient_id: str = Field(max_length=255)


class ArchiveQuery(Query):
    """The file name options of an archive."""

    name: str = Field(
        USUAL_PATTERN,
        description="File name pattern: plain text with the placeholders `{recipient_id}`, `{index}`, `{variant}`,"
        " `{list}`, `{row}` and `{seed}`. The extension is added, and a number to make duplicate names unique.",
        max_length=200,
        json_schema_extra={"format": "file-name-pattern"},
    )


class SheetQuery(Query):
    """The page of a contact sheet to return."""

    page: Annotated[int, Field(ge=1, le=1_000_000), Parsed] = Field(1, description="Page number, from 1.")
    per_page: Annotated[int, Field(ge=1, le=MOST_ON_SHEET), Parsed] = Field(
        40, description="Maximum number of images per page."
    )


class CampaignLinks(Output):
    """The state of a campaign's public links; the links themselves are in the results."""

    object: Literal["campaign_links"] = "campaign_links"
    campaign_id: UUID
    active: bool = Field(description="Whether the links are active.")
    version: int = Field(description="Increases each time links are created; links of earlier versions stay invalid.")


class Erasure(Output):
    """The result of erasing a recipient."""

    object: Literal["erasure"] = "erasure"
    campaign_id: UUID
    tombstone: str = Field(description="Identifier that replaces the recipient ID in the results.")
    pictures: int = Field(description="Number of deleted images.")
    shared: int = Field(description="Number of images kept because other recipients share them.")
    jobs: int = Field(description="Number of jobs whose prompts were erased.")
    rejected_rows: int = Field(description="Number of rejected rows with the same ID that were blanked.")
    cost: LineCost = Field(description="Cost of the deleted images.")
    erased_at: Time
