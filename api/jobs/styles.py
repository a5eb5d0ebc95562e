"""``/v1/styles``: create and read styles, which are named, versioned image settings for jobs and campaigns."""

from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Response
from pydantic import AfterValidator, Field, model_validator

from api.auth.bearer import current_caller, scope_required
from api.jobs import resolve
from api.jobs.generation_fields import GenerationFields, refuse_safety_switches
from api.jobs.schemas import NewJob
from api.runtime.context import current_context
from api.runtime.cursors import Page
from api.runtime.owner_limits import require_room
from api.web import responses
from api.web.output import Output, Time
from api.web.validation import PLAIN_PATTERN, STYLE_REFERENCE, Parsed, Path, Query, refuse_not_found
from common import tables
from common.access.keys import Scope
from common.jobs import prompt_text, styles
from common.jobs.request import OutputFormat, SchedulerName
from common.jobs.styles import STYLE_NAME, StyleSpec

LONGEST_WORDS = 1000


def _json_schema(**keywords: Any) -> Any:
    return Field(json_schema_extra=keywords)


Words = Annotated[
    str,
    Field(max_length=LONGEST_WORDS),
    AfterValidator(prompt_text.clean_text),
    _json_schema(pattern=PLAIN_PATTERN),
]


class NewStyle(GenerationFields):
    """The parameters of a new style or of its next version."""

    name: Annotated[str, Field(pattern=rf"^{STYLE_NAME}$"), _json_schema(examples=["birthday"])] = Field(
        description="Lowercase letters, digits, dots, hyphens and underscores; at most 64 characters."
    )
    prompt_prefix: Words | None = Field(
        None, description="Text added before every prompt.", examples=["a watercolour painting of"]
    )
    prompt_suffix: Words | None = Field(None, description="Text added after every prompt.", examples=[", soft light"])

    @model_validator(mode="before")
    @classmethod
    def _refuse_safety_switches(cls, body: Any) -> Any:
        return refuse_safety_switches(body)


class StylePath(Path):
    """A reference to a style or to one of its versions."""

    reference: str = Field(json_schema_extra={"pattern": STYLE_REFERENCE})


class VersionsPath(Path):
    """The name of a style."""

    name: str = Field(json_schema_extra={"pattern": rf"^{STYLE_NAME}$"})


class StyleQuery(Query):
    """The paging parameters of a list of styles."""

    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Maximum number of styles per page.")
    cursor: str | None = Field(
        None, description="The `next` value of the previous page.", json_schema_extra={"format": "cursor"}
    )


class StyleAdapter(Output):
    """An adapter and its scale."""

    name: str
    scale: float | None = Field(description="Scale of the adapter; null for the adapter's own scale.")


class Style(Output):
    """An immutable version of a style. Fields that the style does not set are null."""

    id: UUID
    object: Literal["style"] = "style"
    name: str
    version: int
    reference: str = Field(description="Permanent reference to this version, such as `birthday@3`.")
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
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


blueprint = responses.create_blueprint("styles", "Named, versioned image settings.", "/v1/styles")

CREATED = {
    201: responses.describe_success(Style, "A new version was created", {"Location": "Permanent URL of this version."}),
    200: responses.describe_success(Style, "The newest version is identical; nothing was created", {}),
}


@blueprint.post("", **responses.describe_route(Scope.STYLES_WRITE, CREATED, 400, 408, 413, 415, 422))
@scope_required(Scope.STYLES_WRITE)
def create_style(body: NewStyle) -> Response:
    """Create a style, or the next version of an existing style. Earlier versions do not change."""
    row, is_new = insert_style(body)
    location = {"Location": f"{current_context().path_prefix}/v1/styles/{styles.format_style_reference(row)}"}
    return (
        responses.respond_json(serialize_style(row), 201, location)
        if is_new
        else responses.respond_json(serialize_style(row))
    )


@blueprint.get("", **responses.describe_route(Scope.STYLES_READ, {200: StyleList}, 400, 422))
@scope_required(Scope.STYLES_READ)
def list_styles(query: StyleQuery) -> Response:
    """List the newest version of each style, by name."""
    context, owner = current_context(), current_caller().owner
    with context.database.reading() as session:
        page = context.cursors.paged(f"{owner}/styles", query, partial(styles.list_newest_styles, session, owner))
    return _respond_page(page)


@blueprint.get("/<reference>", **responses.describe_route(Scope.STYLES_READ, {200: Style}, 404))
@scope_required(Scope.STYLES_READ)
def get_style(path: StylePath) -> Response:
    """Get a style: `name` for its newest version, `name@3` for a fixed version."""
    with current_context().database.reading() as session:
        row = styles.find_style(session, current_caller().owner, path.reference)
    if row is None:
        raise refuse_not_found()
    return responses.respond_json(serialize_style(row))


@blueprint.get("/<name>/versions", **responses.describe_route(Scope.STYLES_READ, {200: StyleList}, 400, 404, 422))
@scope_required(Scope.STYLES_READ)
def list_style_versions(path: VersionsPath, query: StyleQuery) -> Response:
    """List the versions of a style, newest first."""
    context, owner = current_context(), current_caller().owner
    with context.database.reading() as session:
        page = context.cursors.paged(
            f"{owner}/styles", query, partial(styles.list_style_versions, session, owner, path.name)
        )
    if not page.rows and query.cursor is None:
        raise refuse_not_found()
    return _respond_page(page)


def insert_style(body: NewStyle) -> tuple[tables.Style, bool]:
    """Save a style of the caller; return it and whether it is new. Raises RefusedError."""
    context = current_context()
    look = body.model_dump(include=set(GenerationFields.model_fields), exclude_unset=True)
    if body.model is not None:
        # Report fields that the model does not support now, rather than with the first job.
        trial = NewJob.model_validate({"prompt": "x", **look})
        resolve.build_job_spec(
            trial, context.models.cards(), context.settings, current_caller().owner, current_caller().key_id
        )
    spec = StyleSpec(prompt_prefix=body.prompt_prefix or "", prompt_suffix=body.prompt_suffix or "", **look)
    owner, most = current_caller().owner, context.settings.max_styles
    with context.database.transaction() as session:
        row, is_new = styles.save_style(session, owner, body.name, spec)
        if is_new:
            others = styles.select_style_ids(owner).where(tables.Style.id != row.id)
            require_room(session, owner, others, most, "too_many_styles", "Styles cannot be deleted.")
        return row, is_new


def _respond_page(page: Page[tables.Style]) -> Response:
    shown = [serialize_style(row) for row in page.rows]
    return responses.respond_json(StyleList(data=shown, has_more=page.has_more, next=page.next))


def serialize_style(row: tables.Style) -> Style:
    """Return the representation of a style version."""
    spec = StyleSpec.from_row(row.spec)
    return Style(
        id=row.id,
        name=row.name,
        version=row.version,
        reference=styles.format_style_reference(row),
        created_at=row.created_at,
        **spec.model_dump(),
    )
