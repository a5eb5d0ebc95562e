"""Gallery: all prints, narrowed, compared side by side, drawn on a contact sheet, deleted."""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from flask import request
from werkzeug.wrappers import Response

from api.auth.bearer import caller
from api.console.access import demand, visitor
from api.console.query_params import chosen, read_choice, read_cursor, read_day, read_ids, read_text, write_cursor
from api.console.rendering import render
from api.console.routing import page
from api.console.urls import lead_to
from api.images import serializers
from api.images.routes import erase
from api.images.schemas import Image as ShownImage
from api.runtime.context import services
from api.web.errors import RefusedError
from common.campaigns import queries
from common.errors import IllegalTransitionError
from common.ids import parse_id
from common.images import search as image_search
from common.images.search import Wanted
from common.jobs import styles
from common.keys import Scope
from common.tables import Campaign, Image, Job
from common.tables.states import ImageStatus, Verdict

PAGE_SIZE = 48
MOST_COMPARED = 4
FILTERS = ("status", "verdict", "model", "style", "palette", "campaign", "since", "until")
PALETTES = {"half or more": 0.5, "three quarters or more": 0.75, "nine tenths or more": 0.9}
"""How well prints keep to their palette, in words."""
MOST_STYLES = MOST_CAMPAIGNS = 100


@page("/gallery", Scope.JOBS_READ)
def show_gallery() -> Response:
    """Show prints, the newest first."""
    context = services()
    wanted = Wanted(
        status=read_choice("status", ImageStatus),
        verdict=read_choice("verdict", Verdict),
        model=read_text("model", 64) or None,
        style=read_text("style", 80) or None,
        palette_from=PALETTES.get(read_text("palette")),
        campaign_id=parse_id(read_text("campaign")),
        since=read_day("since"),
        until=read_day("until", after=True),
    )
    with context.database.reading() as session:
        rows = image_search.list_page(
            session, caller().owner, wanted, after=read_cursor("gallery"), limit=PAGE_SIZE + 1
        )
        worn, campaigns = list[str](), list[Campaign]()
        if visitor().may(Scope.STYLES_READ):
            newest = styles.list_newest(session, caller().owner, after=None, limit=MOST_STYLES)
            worn += [row.name for row in newest]
        if visitor().may(Scope.CAMPAIGNS_READ):
            campaigns += queries.list_page(session, caller().owner, status=None, after=None, limit=MOST_CAMPAIGNS)
    shown, has_more = rows[:PAGE_SIZE], len(rows) > PAGE_SIZE
    return render(
        "gallery/gallery.html",
        prints=_show(shown),
        next=write_cursor("gallery", shown[-1][0].id if has_more else None),
        filters=chosen(*FILTERS),
        models=[card.name for card in context.offer.cards()],
        styles=worn,
        palettes=PALETTES,
        campaigns=campaigns,
        statuses=[*ImageStatus],
        verdicts=[*Verdict],
    )


@page("/gallery/compare", Scope.JOBS_READ)
def compare() -> Response:
    """Show a few prints side by side, zoomed together."""
    with services().database.reading() as session:
        found = image_search.find_chosen(session, caller().owner, read_ids("image", MOST_COMPARED))
    return render("gallery/compare.html", prints=_show(found), most=MOST_COMPARED)


@page("/gallery/sheet", Scope.JOBS_READ)
def draw_sheet() -> Response:
    """Draw the chosen prints on one picture."""
    from common.images.contact_sheet import Print, draw_contact_sheet  # noqa: PLC0415  (Pillow, for this page alone)

    context = services()
    with context.database.reading() as session:
        found = image_search.find_chosen(session, caller().owner, read_ids("image", PAGE_SIZE))
    prints = []
    for image, job in found:
        wanted = serializers.file_of(image, thumbnail=True) or serializers.file_of(image)
        if wanted is not None:
            note = f"seed {image.seed} · {image.width} × {image.height}"
            prints.append(Print(context.storage.get(wanted.key), job.request["prompt"], note))
    if not prints:
        raise RefusedError("image_not_readable", "Choose at least one print that was delivered.")
    models = ", ".join(dict.fromkeys(job.model for _, job in found))
    sheet = draw_contact_sheet(prints, f"Contact sheet of {len(prints)}", model=models)
    response = Response(sheet, content_type="image/png")
    response.headers["Content-Disposition"] = 'attachment; filename="contact-sheet.png"'
    return response


@page("/gallery/chosen", Scope.JOBS_READ, post=True)
def use_chosen() -> Response:
    """Lead to what is to be done with the chosen prints."""
    ids = read_ids("image", PAGE_SIZE)
    if not ids:
        return lead_to("gallery:show_gallery", note="none-chosen", **chosen(*FILTERS))
    act = request.form.get("act")
    if act == "delete":
        return _delete(ids)
    target = "gallery:draw_sheet" if act == "sheet" else "gallery:compare"
    return lead_to(target, image=[str(image_id) for image_id in ids])


def _delete(ids: Sequence[UUID]) -> Response:
    """Erase prints for good; those that wait for a reviewer are left as they are."""
    demand(Scope.JOBS_WRITE)
    for image_id in ids:
        with suppress(IllegalTransitionError):
            erase(image_id)
    return lead_to("gallery:show_gallery", note="images-deleted", **chosen(*FILTERS))


def _show(found: Sequence[tuple[Image, Job]]) -> list[tuple[ShownImage, Job]]:
    context = services()
    return [(serializers.show_image(image, context), job) for image, job in found]
