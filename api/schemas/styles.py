"""The JSON of styles."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from api import texts
from api.schemas.looks import STYLE_REFERENCE, Look
from api.web.output import Output, Time
from api.web.validation import Parsed, Path, Query
from common.jobs.request import OutputFormat, SchedulerName
from common.jobs.styles import NAME

LONGEST_WORDS = 1000


def _schema(**keywords: Any) -> Any:
    return Field(json_schema_extra=keywords)


Words = Annotated[
    str, Field(max_length=LONGEST_WORDS), AfterValidator(texts.clean), _schema(pattern=texts.PLAIN_PATTERN)
]


class NewStyle(Look):
    """A style to be made, or its next version."""

    name: Annotated[str, Field(pattern=rf"^{NAME}$"), _schema(examples=["birthday"])] = Field(
        description="Small letters, digits, dots, dashes and underscores; 64 at most."
    )
    prompt_prefix: Words | None = Field(
        None, description="Words before every prompt.", examples=["a watercolour painting of"]
    )
    prompt_suffix: Words | None = Field(None, description="Words after every prompt.", examples=[", soft light"])


class StylePath(Path):
    """Names a style, or one version of it."""

    reference: str = Field(json_schema_extra={"pattern": STYLE_REFERENCE})


class VersionsPath(Path):
    """Names a style."""

    name: str = Field(json_schema_extra={"pattern": rf"^{NAME}$"})


class StyleQuery(Query):
    """Which page of the list."""

    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Styles a page.")
    cursor: str | None = Field(None, description="`next` of the page before.", json_schema_extra={"format": "cursor"})


class StyleAdapter(Output):
    """An adapter, and how strongly it is laid on."""

    name: str
    scale: float | None = Field(description="Null: the adapter's own.")


class Style(Output):
    """One version of a style; it never changes. What it leaves open is null."""

    id: UUID
    object: Literal["style"] = "style"
    name: str
    version: int
    reference: str = Field(description="What always means this version, as `birthday@3`.")
    prompt_prefix: str
    prompt_suffix: str
    negative_prompt: str | None
    model: str | None
    width: int | None
    height: int | None
    steps: int | None
    guidance_scale: float | None
    scheduler: SchedulerName | None
    adapters: list[StyleAdapter] | None
    output_format: OutputFormat | None
    palette: list[str]
    created_at: Time


class StyleList(Output):
    """A page of styles."""

    object: Literal["list"] = "list"
    data: list[Style]
    has_more: bool
    next: str | None = Field(description="The `cursor` of the next page.")
