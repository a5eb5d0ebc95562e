"""Styles: how pictures shall look, kept under a name; their versions, where they are used, and new ones."""

from typing import Any

from flask import request
from werkzeug.wrappers import Response

from api.auth.bearer import caller
from api.console.access import demand, visitor
from api.console.pages.generate_form import read_number
from api.console.query_params import read_cursor, write_cursor
from api.console.rendering import render
from api.console.routing import page
from api.console.urls import lead_to
from api.images import serializers
from api.jobs import styles as job_styles
from api.jobs.styles import NewStyle, Style
from api.runtime.context import services
from api.web.errors import RefusedError
from api.web.validation import not_found
from common.images import search
from common.images.search import Wanted
from common.jobs import styles
from common.jobs.request import OutputFormat, SchedulerName
from common.jobs.styles import MOST_COLOURS
from common.keys import Scope
from common.tables import Campaign, Image, Job

PAGE_SIZE = 50
MOST_VERSIONS, MOST_PRINTS, MOST_CAMPAIGNS = 50, 12, 10
WORDS = ("name", "prompt_prefix", "prompt_suffix", "negative_prompt", "model", "scheduler", "output_format")
NUMBERS = ("width", "height", "steps", "guidance_scale")
FIRST_COLOUR = "#888888"
"""What an unused place of the palette shows."""


@page("/styles", Scope.STYLES_READ)
def list_styles() -> Response:
    """List the newest version of each style, by name."""
    with services().database.reading() as session:
        found = styles.list_newest(session, caller().owner, after=read_cursor("styles"), limit=PAGE_SIZE + 1)
    shown = found[:PAGE_SIZE]
    following = write_cursor("styles", shown[-1].id if len(found) > PAGE_SIZE else None)
    return render("styles/list.html", styles=[job_styles.show(row) for row in shown], next=following)


@page("/styles/new", Scope.STYLES_WRITE)
def show_form() -> Response:
    """Show the form of a new style, or of the next version of the one that the address names."""
    reference = request.args.get("of", "")
    if not reference:
        return _show_form({})
    demand(Scope.STYLES_READ)
    return _show_form(_find(reference).model_dump(mode="json"))


@page("/styles/new", Scope.STYLES_WRITE, post=True)
def create_style() -> Response:
    """Keep the style that the form says; or show it again, with what is wrong with it."""
    wish = _read_form()
    try:
        row, is_new = job_styles.make(NewStyle.model_validate(wish))
    except RefusedError as refused:
        return _show_form(wish, refused)
    return lead_to("styles:show_style", name=row.name, note="style-made" if is_new else "style-same")


@page("/styles/<name>", Scope.STYLES_READ)
def show_style(name: str) -> Response:
    """Show a style: its versions, the newest first, and where it is used."""
    context, owner = services(), caller().owner
    with context.database.reading() as session:
        found = styles.list_versions(session, owner, name, after=None, limit=MOST_VERSIONS)
        if not found:
            raise not_found()
        prints, campaigns = list[tuple[Image, Job]](), list[Campaign]()
        if visitor().may(Scope.JOBS_READ):
            prints += search.list_page(session, owner, Wanted(style=name), after=None, limit=MOST_PRINTS)
        if visitor().may(Scope.CAMPAIGNS_READ):
            campaigns += styles.list_campaigns(session, owner, name, limit=MOST_CAMPAIGNS)
    return render(
        "styles/style.html",
        name=name,
        versions=[job_styles.show(row) for row in found],
        prints=[(serializers.show_image(image, context), job) for image, job in prints],
        campaigns=campaigns,
    )


def _find(reference: str) -> Style:
    with services().database.reading() as session:
        row = styles.find(session, caller().owner, reference)
    if row is None:
        raise not_found()
    return job_styles.show(row)


def _show_form(wish: dict[str, Any], refused: RefusedError | None = None) -> Response:
    return render(
        "styles/form.html",
        200 if refused is None else 422,
        wish=wish,
        adapters=_spell_adapters(wish.get("adapters") or []),
        palette=[*(wish.get("palette") or []), *[None] * MOST_COLOURS][:MOST_COLOURS],
        first_colour=FIRST_COLOUR,
        models=[card.name for card in services().offer.cards()],
        schedulers=[*SchedulerName],
        formats=[*OutputFormat],
        refused=refused,
    )


def _read_form() -> dict[str, Any]:
    """Return the body that the form stands for: what is empty is left open."""
    wish: dict[str, Any] = {}
    for field in (*WORDS, *NUMBERS):
        text = request.form.get(field, "")
        if text.strip():
            wish[field] = read_number(text.strip()) if field in NUMBERS else text
    # A suffix may begin with a space on purpose; a name may not.
    wish["name"] = str(wish.get("name", "")).strip()
    adapters = [_read_adapter(text) for text in request.form.get("adapters", "").split(",") if text.strip()]
    palette = [request.form.get(f"colour:{place}", "") for place in request.form.getlist("use")]
    return wish | ({"adapters": adapters} if adapters else {}) | ({"palette": palette} if palette else {})


def _read_adapter(text: str) -> dict[str, Any]:
    name, colon, scale = text.strip().partition(":")
    return {"name": name.strip(), "scale": read_number(scale.strip())} if colon else {"name": name}


def _spell_adapters(adapters: list[dict[str, Any]]) -> str:
    scales = [(each["name"], each.get("scale")) for each in adapters]
    return ", ".join(name if scale is None else f"{name}:{scale}" for name, scale in scales)
