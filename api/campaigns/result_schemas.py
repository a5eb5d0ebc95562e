"""The JSON of a campaign's results: one line for each picture of each recipient."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from api.images.schemas import Colour
from api.web.output import Amount, Output, Time
from api.web.validation import Id, Parsed, Path, Query
from common.campaigns.results.archive import USUAL_PATTERN
from common.campaigns.results.lines import LineStatus, Picture
from common.tables.states import Verdict

MOST_ON_SHEET = 100


class LineSafety(Output):
    """What the safety check said of a picture."""

    verdict: Verdict
    score: float | None = Field(description="The highest of its scores.")


class LineCost(Output):
    """What a picture cost the campaign."""

    amount: Amount
    currency: str


class LineError(Output):
    """Why there is no picture."""

    code: str
    message: str | None
    retryable: bool | None


class ResultLine(Output):
    """What became of one picture of one recipient."""

    recipient_id: str
    list_number: int = Field(description="Which of the lists of recipients that were handed in.")
    row: int = Field(description="The row in that list; the first row of values is 1.")
    index: int = Field(description="Which of the recipient's pictures, from 0.")
    variant: str
    style: str | None = Field(description="The version of a style that it was made with.")
    status: LineStatus
    picture: Picture | None = Field(
        description="Whose picture there is: `own`; `shared` where it was printed once for all who asked the same;"
        " `fallback` where it stands in for one that was blocked."
    )
    link: str | None = Field(description="The public link to it, once the campaign has links.")
    image_id: UUID | None
    image_url: str | None = Field(description="Where to fetch it with a key.")
    seed: int | None
    width: int | None
    height: int | None
    safety: LineSafety | None
    colours: list[Colour]
    palette_score: float | None
    cost: LineCost
    rerolls: int = Field(description="How often it was printed again from another seed.")
    error: LineError | None


class CampaignPath(Path):
    """Names a campaign."""

    campaign_id: Id


class RecipientPath(Path):
    """Names a recipient of a campaign."""

    campaign_id: Id
    recipient_id: str = Field(max_length=255)


class ArchiveQuery(Query):
    """How the files of an archive are called."""

    name: str = Field(
        USUAL_PATTERN,
        description="A pattern of file names, of plain text and `{recipient_id}`, `{index}`, `{variant}`, `{list}`,"
        " `{row}`, `{seed}`; the extension is added, and a number where two would be the same.",
        max_length=200,
        json_schema_extra={"format": "file-name-pattern"},
    )


class SheetQuery(Query):
    """Which part of a contact sheet."""

    page: Annotated[int, Field(ge=1, le=1_000_000), Parsed] = Field(1, description="Page, from 1.")
    per_page: Annotated[int, Field(ge=1, le=MOST_ON_SHEET), Parsed] = Field(40, description="Pictures a page.")


class CampaignLinks(Output):
    """The public links of a campaign: each stands in its results."""

    object: Literal["campaign_links"] = "campaign_links"
    campaign_id: UUID
    active: bool = Field(description="Whether the links lead anywhere.")
    version: int = Field(description="Grows with each making; links of an earlier version never lead anywhere again.")


class Erasure(Output):
    """What was erased of one person, and what is left: the cost."""

    object: Literal["erasure"] = "erasure"
    campaign_id: UUID
    tombstone: str = Field(description="What stands in the results in place of the recipient's id.")
    pictures: int = Field(description="Pictures that were deleted.")
    shared: int = Field(description="Pictures that stay, because others have the same.")
    jobs: int = Field(description="Jobs whose words were erased.")
    rejected_rows: int = Field(description="Rejected rows of the same id that were blanked.")
    cost: LineCost = Field(description="What was spent on the pictures that were deleted.")
    erased_at: Time
