"""JSON schemas of recipients: uploaded files, accepted rows and rendered prompts."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from api.images.schemas import PromptTokens
from api.web.output import Output
from api.web.validation import Body, Parsed, Query, Whole
from common.campaigns.recipients.formats.detect import Format
from common.states.campaigns import CampaignStatus

MOST_PREVIEWED = 50
USUALLY_PREVIEWED = 5


class UploadQuery(Query):
    """The options of a recipients upload."""

    mode: Literal["replace", "append"] = Field(
        "replace",
        description="Whether to replace or extend the recipients. After the first approval, only `append` works.",
    )
    on_error: Literal["strict", "skip"] = Field(
        "strict", description="Whether one invalid row rejects the whole file (`strict`) or is skipped (`skip`)."
    )
    id_column: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        None,
        description="The column that identifies the recipients, such as `email`; defaults to `recipient_id`, or to that"
        " of the campaign's other lists. If the file has no such column, the row number is the ID.",
    )


class RecipientQuery(Query):
    """The paging parameters of a list of recipients."""

    limit: Annotated[int, Field(ge=1, le=1000), Parsed] = Field(
        100, description="Maximum number of recipients per page."
    )
    cursor: str | None = Field(
        None, description="The `next` value of the previous page.", json_schema_extra={"format": "cursor"}
    )


class ErrorsQuery(Query):
    """The list whose errors to return."""

    list: Annotated[int, Field(ge=1, le=1_000_000), Parsed] | None = Field(
        None, description="Number of the list; defaults to the newest, including a rejected one."
    )


class Sample(Body):
    """The recipients whose prompts to render."""

    recipient_id: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        None, description="Render only this recipient's prompts."
    )
    k: Annotated[int, Field(ge=1, le=MOST_PREVIEWED), Whole] | None = Field(
        None,
        description="Sample size: the first row, the longest prompt and a fixed selection of others. Defaults to 5.",
    )


class RowError(Output):
    """The reason why a row is not valid."""

    row: int = Field(description="Row number; the first row after the header is 1.")
    code: str
    column: str | None
    detail: str


class FileReading(Output):
    """How an uploaded file was read."""

    encoding: str | None = Field(description="Encoding of the text; null for a workbook.")
    encoding_guessed: bool = Field(description="Whether the encoding was detected, because no charset was declared.")
    separator: str | None = Field(description="Separator of the cells of a CSV file.")
    sheet: str | None = Field(description="Name of the workbook's sheet that was read.")
    header_row: int | None = Field(description="Line or row that holds the headings, from 1; null for JSON.")
    hidden_rows: int = Field(description="Number of rows that the sheet hides, for example by a filter; included.")
    nested_columns: list[str] = Field(description="Columns whose lists and objects were left out.")


class Receipt(Output):
    """The result of a recipients upload."""

    object: Literal["recipient_list"] = "recipient_list"
    number: int
    format: Format
    columns: list[str]
    placeholders: dict[str, str] = Field(description="The name of each column in templates.")
    id_column: str | None = Field(description="The column that identifies the recipients; null if row numbers do.")
    reading: FileReading
    notes: list[str] = Field(
        description="What to know about how the file was read, and about prompts that are too long, in sentences."
    )
    total: int
    accepted: int
    rejected: int
    errors: list[RowError] = Field(description="The first 50 errors; `recipients/errors.csv` has all of them.")
    status: CampaignStatus = Field(description="Status of the campaign.")
    spec_digest: str | None = Field(description="Digest to send when approving the campaign.")


class Recipient(Output):
    """A recipient of a campaign."""

    id: UUID
    object: Literal["recipient"] = "recipient"
    recipient_id: str
    list_number: int
    row: int
    arm: str
    values: dict[str, str]
    erased: bool


class RecipientPage(Output):
    """A page of recipients, in upload order."""

    object: Literal["list"] = "list"
    data: list[Recipient]
    has_more: bool
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


class Rendered(Output):
    """The prompts of one recipient."""

    recipient_id: str
    row: int
    list_number: int
    arm: str
    prompt: str
    prompt_tokens: PromptTokens | None = Field(
        description="How much of the prompt the model will read; null if that is not known."
    )
    negative_prompt: str
    seeds: list[int] = Field(description="The seed of each of the recipient's images.")


class Preview(Output):
    """Rendered prompts; nothing is printed."""

    object: Literal["preview"] = "preview"
    data: list[Rendered]


_TEXT = {"type": "string"}
_SCALARS = [{"type": name} for name in ("string", "number", "boolean", "null")]
FILE: dict[str, Any] = {
    "required": True,
    "content": {
        "text/csv": {
            "schema": _TEXT | {"description": "CSV with a header row, separated by commas, semicolons or tabs."}
        },
        "application/x-ndjson": {"schema": _TEXT | {"description": "One JSON object per line."}},
        "application/json": {
            "schema": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "additionalProperties": {"anyOf": _SCALARS}},
            }
        },
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {
            "schema": _TEXT | {"format": "binary", "description": "The first visible sheet, with a header row."}
        },
    },
}
