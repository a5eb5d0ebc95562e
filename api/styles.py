"""``/v1/styles``: keep how pictures shall look under a name; jobs and campaigns then name it."""

from collections.abc import Sequence
from uuid import UUID

from flask import Response

from api import orders
from api.auth.bearer import caller, needs
from api.runtime.context import services
from api.schemas.jobs import NewJob
from api.schemas.looks import Look
from api.schemas.styles import NewStyle, Style, StyleList, StylePath, StyleQuery, VersionsPath
from api.web import responses
from api.web.errors import RefusedError
from api.web.validation import not_found
from common import tables
from common.jobs import styles
from common.jobs.styles import StyleSpec
from common.keys import Scope

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
        orders.place(trial, context.offer.cards(), context.settings, caller().owner, caller().key_id)
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
