"""``/v1/styles``: keep how pictures shall look under a name; jobs and campaigns then name it."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Response
from pydantic import AfterValidator, Field

from api.auth.bearer import caller, needs
from api.jobs import resolve
from api.jobs.generation_fields import Look
from api.jobs.schemas import NewJob
from api.runtime.context import services
from api.web import responses, text_fields
from api.web.errors import RefusedError
from api.web.output import Output, Time
from api.web.text_fields import STYLE_REFERENCE
from api.web.validation import Parsed, Path, Query, not_found
from common import tables
from common.jobs import prompt_text, styles
from common.jobs.request import OutputFormat, SchedulerName
from common.jobs.styles import NAME, StyleSpec
from common.keys import Scope

LONGEST_WORDS = 1000


def _schema(**keywords: Any) -> Any:
    return Field(json_schema_extra=keywords)


Words = Annotated[
    str, Field(max_length=LONGEST_WORDS), AfterValidator(prompt_text.clean), _schema(pattern=text_fields.PLAIN_PATTERN)
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


blueprint = responses.create_blueprint("styles", "How pictures shall look, kept under a name.", "/v1/styles")

MADE = {
    201: responses.describe_success(
        Style, "A new version was made", {"Location": "Where to look at this version, now and always."}
    ),
    200: responses.describe_success(Style, "The newest version says the same", {}),
}


@blueprint.post("", **responses.describe(Scope.STYLES_WRITE, MADE, 400, 408, 413, 415, 422))
@needs(Scope.STYLES_WRITE)
def create_style(body: NewStyle) -> Response:
    """Make a style, or the next version of the one with this name; what was made before stays as it is."""
    row, is_new = make(body)
    location = {"Location": f"{services().path_prefix}/v1/styles/{styles.spell(row)}"}
    return responses.answer(show(row), 201, location) if is_new else responses.answer(show(row))


@blueprint.get("", **responses.describe(Scope.STYLES_READ, {200: StyleList}, 400, 422))
@needs(Scope.STYLES_READ)
def list_styles(query: StyleQuery) -> Response:
    """List the newest version of each style, by name."""
    context = services()
    with context.database.reading() as session:
        found = styles.list_newest(session, caller().owner, after=_read(query), limit=query.limit + 1)
    return _answer_page(found, query)


@blueprint.get("/<reference>", **responses.describe(Scope.STYLES_READ, {200: Style}, 404))
@needs(Scope.STYLES_READ)
def get_style(path: StylePath) -> Response:
    """Look at a style: `name` for its newest version, `name@3` for one that stays."""
    with services().database.reading() as session:
        row = styles.find(session, caller().owner, path.reference)
    if row is None:
        raise not_found()
    return responses.answer(show(row))


@blueprint.get("/<name>/versions", **responses.describe(Scope.STYLES_READ, {200: StyleList}, 400, 404, 422))
@needs(Scope.STYLES_READ)
def list_style_versions(path: VersionsPath, query: StyleQuery) -> Response:
    """List the versions of a style, the newest first."""
    after = _read(query)
    with services().database.reading() as session:
        found = styles.list_versions(session, caller().owner, path.name, after=after, limit=query.limit + 1)
    if not found and after is None:
        raise not_found()
    return _answer_page(found, query)


def make(body: NewStyle) -> tuple[tables.Style, bool]:
    """Keep a style of the caller's; return it, and whether it is new. Raises RefusedError."""
    context = services()
    look = body.model_dump(include=set(Look.model_fields), exclude_unset=True)
    if body.model is not None:
        # What its model does not take is told now rather than with the first job.
        trial = NewJob.model_validate({"prompt": "x", **look})
        resolve.place(trial, context.offer.cards(), context.settings, caller().owner, caller().key_id)
    spec = StyleSpec(prompt_prefix=body.prompt_prefix or "", prompt_suffix=body.prompt_suffix or "", **look)
    with context.database.transaction() as session:
        return styles.save(session, caller().owner, body.name, spec)


def _read(query: StyleQuery) -> UUID | None:
    if query.cursor is None:
        return None
    after = services().cursors.read(_book(), query.cursor)
    if after is None:
        raise RefusedError("invalid_cursor", "Use the `next` of a page of this list, unchanged.")
    return after


def _book() -> str:
    return f"{caller().owner}/styles"


def _answer_page(found: Sequence[tables.Style], query: StyleQuery) -> Response:
    page, has_more = found[: query.limit], len(found) > query.limit
    following = services().cursors.write(_book(), page[-1].id) if has_more else None
    return responses.answer(StyleList(data=[show(row) for row in page], has_more=has_more, next=following))


def show(row: tables.Style) -> Style:
    """Return what is shown of a version."""
    spec = StyleSpec.from_row(row.spec)
    return Style(
        id=row.id,
        name=row.name,
        version=row.version,
        reference=styles.spell(row),
        created_at=row.created_at,
        **spec.model_dump(),
    )
