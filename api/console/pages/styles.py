"""Styles: list, create, and show versions and usage."""

from functools import partial
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from api.auth.bearer import current_caller
from api.console.access import current_user, require_scope
from api.console.pages.generate_form import parse_number
from api.console.query_params import paged
from api.console.rendering import render_page
from api.console.routing import FormPage, name_first_part, register_page
from api.console.urls import redirect_to
from api.images import serializers
from api.jobs import styles as job_styles
from api.jobs.styles import NewStyle, Style
from api.runtime.context import current_context
from api.web.validation import refuse_not_found
from common.access.keys import Scope
from common.images import search
from common.images.search import ImageFilter
from common.jobs import styles
from common.jobs.request import OutputFormat, SchedulerName
from common.jobs.styles import MOST_COLOURS
from common.tables import Campaign, Image, Job

PAGE_SIZE = 50
MOST_VERSIONS, MOST_PRINTS, MOST_CAMPAIGNS = 50, 12, 10
TEXT_FIELDS = ("name", "prompt_prefix", "prompt_suffix", "negative_prompt", "model", "scheduler", "output_format")
NUMBER_FIELDS = ("width", "height", "steps", "guidance_scale")
FIRST_COLOUR = "#888888"
"""The colour shown for an unused palette entry."""


@register_page("/styles", Scope.STYLES_READ)
def list_styles() -> Response:
    """List the newest version of each style, by name."""
    with current_context().database.reading() as session:
        page = paged("styles", PAGE_SIZE, partial(styles.list_newest_styles, session, current_caller().owner))
    shown = [job_styles.serialize_style(row) for row in page.rows]
    return render_page("styles/list.html", styles=shown, next=page.next)


@register_page("/styles/new", Scope.STYLES_WRITE)
def show_form() -> Response:
    """Show the form for a new style, or for the next version of the style in ``of``."""
    reference = request.args.get("of", "")
    if not reference:
        return _render_form({})
    require_scope(Scope.STYLES_READ)
    return _render_form(_load_style(reference).model_dump(mode="json"))


def _name_field(pointer: str) -> str:
    part = name_first_part(pointer)
    return "use" if part == "palette" else part


@register_page("/styles/new", Scope.STYLES_WRITE, post=True, form=FormPage("styles:show_form", _name_field))
def create_style() -> Response:
    """Create the style."""
    row, is_new = job_styles.insert_style(NewStyle.model_validate(_parse_form()))
    return redirect_to("styles:show_style", name=row.name, note="style-made" if is_new else "style-same")


@register_page("/styles/<name>", Scope.STYLES_READ)
def show_style(name: str) -> Response:
    """Show a style: its versions, newest first, and its usage."""
    context, owner = current_context(), current_caller().owner
    with context.database.reading() as session:
        found = styles.list_style_versions(session, owner, name, after=None, limit=MOST_VERSIONS)
        if not found:
            raise refuse_not_found()
        prints, campaigns = list[tuple[Image, Job]](), list[Campaign]()
        if current_user().may(Scope.JOBS_READ):
            prints += search.list_images(session, owner, ImageFilter(style=name), after=None, limit=MOST_PRINTS).rows
        if current_user().may(Scope.CAMPAIGNS_READ):
            campaigns += styles.list_style_campaigns(session, owner, name, limit=MOST_CAMPAIGNS)
    return render_page(
        "styles/style.html",
        name=name,
        versions=[job_styles.serialize_style(row) for row in found],
        prints=[(serializers.serialize_image(image, context), job) for image, job in prints],
        campaigns=campaigns,
    )


def _load_style(reference: str) -> Style:
    with current_context().database.reading() as session:
        row = styles.find_style(session, current_caller().owner, reference)
    if row is None:
        raise refuse_not_found()
    return job_styles.serialize_style(row)


def _render_form(fields: dict[str, Any]) -> Response:
    return render_page(
        "styles/form.html",
        fields=fields,
        adapters=_format_adapters(fields.get("adapters") or []),
        palette=[*(fields.get("palette") or []), *[None] * MOST_COLOURS][:MOST_COLOURS],
        first_colour=FIRST_COLOUR,
        models=[card.name for card in current_context().models.cards()],
        schedulers=[*SchedulerName],
        formats=[*OutputFormat],
    )


def _parse_form() -> dict[str, Any]:
    """Return the request body of the form; empty fields are omitted."""
    fields: dict[str, Any] = {}
    for field in (*TEXT_FIELDS, *NUMBER_FIELDS):
        text = request.form.get(field, "")
        if text.strip():
            fields[field] = parse_number(text.strip()) if field in NUMBER_FIELDS else text
    # Leading spaces are kept in a suffix, but not in a name.
    fields["name"] = str(fields.get("name", "")).strip()
    adapters = [_parse_adapter(text) for text in request.form.get("adapters", "").split(",") if text.strip()]
    palette = [request.form.get(f"colour:{place}", "") for place in request.form.getlist("use")]
    return fields | ({"adapters": adapters} if adapters else {}) | ({"palette": palette} if palette else {})


def _parse_adapter(text: str) -> dict[str, Any]:
    name, colon, scale = text.strip().partition(":")
    return {"name": name.strip(), "scale": parse_number(scale.strip())} if colon else {"name": name}


def _format_adapters(adapters: list[dict[str, Any]]) -> str:
    scales = [(each["name"], each.get("scale")) for each in adapters]
    return ", ".join(name if scale is None else f"{name}:{scale}" for name, scale in scales)
