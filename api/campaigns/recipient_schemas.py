"""The JSON of recipients: a file that was handed in, the rows that stayed, and the prompts that they make."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from api.web.output import Output
from api.web.validation import Body, Parsed, Query, Whole
from common.campaigns.recipients.formats.detect import Format
from common.tables.campaign_states import CampaignStatus

MOST_PREVIEWED = 50
USUALLY_PREVIEWED = 5


class UploadQuery(Query):
    """How a file is taken in."""

    mode: Literal["replace", "append"] = Field(
        "replace", description="After the first approval recipients can only be appended."
    )
    on_error: Literal["strict", "skip"] = Field(
        "strict", description="Whether one row that cannot be printed refuses all, or the others stay."
    )


class RecipientQuery(Query):
    """Which recipients to list."""

    limit: Annotated[int, Field(ge=1, le=1000), Parsed] = Field(100, description="Recipients a page.")
    cursor: str | None = Field(None, description="`next` of the page before.", json_schema_extra={"format": "cursor"})


class ErrorsQuery(Query):
    """Which list's errors."""

    list: Annotated[int, Field(ge=1, le=1_000_000), Parsed] | None = Field(
        None, description="The number of a list; by default the newest, a refused one included."
    )


class Sample(Body):
    """Whose prompts to render."""

    recipient_id: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(None, description="Just theirs.")
    k: Annotated[int, Field(ge=1, le=MOST_PREVIEWED), Whole] | None = Field(
        None, description="Of so many: the first, the longest, and others that are always the same; by default 5."
    )


class RowError(Output):
    """Why a row cannot be printed."""

    row: int = Field(description="The first row of values is 1.")
    code: str
    column: str | None
    detail: str


class Receipt(Output):
    """What became of a file of recipients."""

    object: Literal["recipient_list"] = "recipient_list"
    number: int
    format: Format
    columns: list[str]
    total: int
    accepted: int
    rejected: int
    errors: list[RowError] = Field(description="The first 50; `recipients/errors.csv` has all.")
    status: CampaignStatus = Field(description="The campaign's.")
    spec_digest: str | None = Field(description="What an approval is to name.")


class Recipient(Output):
    """Somebody a picture is made for."""

    id: UUID
    object: Literal["recipient"] = "recipient"
    recipient_id: str
    list_number: int
    row: int
    arm: str
    values: dict[str, str]
    erased: bool


class RecipientPage(Output):
    """A page of recipients, in their order."""

    object: Literal["list"] = "list"
    data: list[Recipient]
    has_more: bool
    next: str | None = Field(description="The `cursor` of the next page.")


class Rendered(Output):
    """The prompts of one recipient."""

    recipient_id: str
    row: int
    list_number: int
    arm: str
    prompt: str
    negative_prompt: str
    seeds: list[int] = Field(description="Of each of the recipient's images.")


class Preview(Output):
    """Prompts as they would be printed; nothing was printed."""

    object: Literal["preview"] = "preview"
    data: list[Rendered]


_TEXT = {"type": "string"}
_SCALARS = [{"type": name} for name in ("string", "number", "boolean", "null")]
FILE: dict[str, Any] = {
    "required": True,
    "content": {
        "text/csv": {"schema": _TEXT | {"description": "With a header; commas, semicolons or tabs."}},
        "application/x-ndjson": {"schema": _TEXT | {"description": "A JSON object a line."}},
        "application/json": {
            "schema": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "additionalProperties": {"anyOf": _SCALARS}},
            }
        },
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {
            "schema": _TEXT | {"format": "binary", "description": "The first visible sheet, with a header."}
        },
    },
}
