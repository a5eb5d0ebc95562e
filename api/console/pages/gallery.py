"""Gallery: filter, compare and delete images, and draw contact sheets."""

from collections.abc import Callable, Sequence
from uuid import UUID

from flask import request
from werkzeug.wrappers import Response

from api.auth.bearer import current_caller
from api.console.access import current_user, require_scope
from api.console.notes import BulkCount
from api.console.query_params import (
    decode_cursor,
    encode_cursor,
    read_choice,
    read_day,
    read_filters,
    read_ids,
    read_text,
)
from api.console.rendering import render_page
from api.console.routing import FormPage, register_page
from api.console.urls import redirect_to
from api.images import serializers
from api.images.erasure import erase_image
from api.images.schemas import Image as ShownImage
from api.runtime.context import current_context
from api.web.errors import RefusedError
from api.web.file_routes import sends_files
from api.web.validation import refuse_not_found
from common.access.keys import Scope
from common.campaigns import queries
from common.db.ids import parse_id
from common.db.pages import READ_THROUGH
from common.errors import IllegalTransitionError
from common.images import search as image_search
from common.images.search import ImageFilter
from common.images.served_files import find_published_file
from common.jobs import styles
from common.states.jobs import ImageStatus, Verdict
from common.tables import Campaign, Image, Job

PAGE_SIZE = 48
MOST_COMPARED = 4
FILTERS = ("status", "verdict", "model", "style", "palette", "campaign", "since", "until")
PALETTES = {"half or more": 0.5, "three quarters or more": 0.75, "nine tenths or more": 0.9}
"""Minimum palette scores by label."""
MOST_STYLES = MOST_CAMPAIGNS = 100


@register_page("/gallery", Scope.JOBS_READ)
def show_gallery() -> Response:
    """Show images, newest first."""
    context = current_context()
    wanted = ImageFilter(
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
        page = image_search.list_images(
            session, current_caller().owner, wanted, after=decode_cursor("gallery"), limit=PAGE_SIZE
        )
        worn, campaigns = list[str](), list[Campaign]()
        if current_user().may(Scope.STYLES_READ):
            newest = styles.list_newest_styles(session, current_caller().owner, after=None, limit=MOST_STYLES)
            worn += [row.name for row in newest]
        if current_user().may(Scope.CAMPAIGNS_READ):
            campaigns += queries.list_campaigns(
                session, current_caller().owner, status=None, after=None, limit=MOST_CAMPAIGNS
            )
    return render_page(
        "gallery/gallery.html",
        prints=_serialize_images(page.rows),
        next=encode_cursor("gallery", page.next_after),
        searched=READ_THROUGH,
        filters=read_filters(*FILTERS),
        models=[card.name for card in context.models.cards()],
        styles=worn,
        palettes=PALETTES,
        campaigns=campaigns,
        statuses=[*ImageStatus],
        verdicts=[*Verdict],
    )


@register_page("/gallery/compare", Scope.JOBS_READ)
def compare() -> Response:
    """Show selected images side by side."""
    chosen = read_ids("image", PAGE_SIZE)
    with current_context().database.reading() as session:
        found = image_search.list_chosen_images(session, current_caller().owner, chosen[:MOST_COMPARED])
    return render_page("gallery/compare.html", prints=_serialize_images(found), most=MOST_COMPARED, chosen=len(chosen))


@register_page("/gallery/sheet", Scope.JOBS_READ)
@sends_files
def draw_sheet() -> Response:
    """Return a contact sheet of the selected images."""
    from common.images.contact_sheet import Tile, draw_contact_sheet  # noqa: PLC0415  (Pillow is needed only here)

    context = current_context()
    with context.database.reading() as session:
        found = image_search.list_chosen_images(session, current_caller().owner, read_ids("image", PAGE_SIZE))
    prints = []
    for image, job in found:
        wanted = find_published_file(image, thumbnail=True) or find_published_file(image)
        if wanted is not None:
            note = f"seed {image.seed} · {image.width} × {image.height}"
            prints.append(Tile(context.files.read_image(wanted), job.request["prompt"], note))
    if not prints:
        raise RefusedError("image_not_readable", "Select at least one delivered image.")
    models = ", ".join(dict.fromkeys(job.model for _, job in found))
    sheet = draw_contact_sheet(prints, f"Contact sheet of {len(prints)}", model=models)
    response = Response(sheet, content_type="image/png")
    response.headers["Content-Disposition"] = 'attachment; filename="contact-sheet.png"'
    return response


@register_page("/gallery/chosen", Scope.JOBS_READ, post=True, form=FormPage("gallery:show_gallery"))
def use_chosen() -> Response:
    """Redirect to the chosen action on the selected images."""
    ids, act = read_ids("image", PAGE_SIZE), request.form.get("act", "")
    if act not in BULK_ACTS:
        raise refuse_not_found()
    return BULK_ACTS[act](ids) if ids else _return_to_gallery("no-images-chosen")


def _compare_images(ids: Sequence[UUID]) -> Response:
    with current_context().database.reading() as session:
        found = image_search.list_chosen_images(session, current_caller().owner, ids)
    if not found:
        return _return_to_gallery("no-images-to-compare")
    return redirect_to("gallery:compare", image=[str(image.id) for image, _ in found])


def _draw_sheet(ids: Sequence[UUID]) -> Response:
    with current_context().database.reading() as session:
        found = image_search.list_chosen_images(session, current_caller().owner, ids)
    if not any(find_published_file(image) for image, _ in found):
        return _return_to_gallery("no-images-on-sheet")
    return redirect_to("gallery:draw_sheet", image=[str(image.id) for image, _ in found])


def _erase_images(ids: Sequence[UUID]) -> Response:
    """Permanently erase images, except those waiting for review."""
    require_scope(Scope.JOBS_WRITE)
    count = BulkCount()
    for image_id in ids:
        try:
            has_changed = erase_image(image_id)
        except (RefusedError, IllegalTransitionError) as error:
            count.add_left(error)
        else:
            count.add_done() if has_changed else count.add_unchanged()
    return _return_to_gallery("images-deleted", **count.to_query())


BULK_ACTS: dict[str, Callable[[Sequence[UUID]], Response]] = {
    "compare": _compare_images,
    "sheet": _draw_sheet,
    "delete": _erase_images,
}
"""What is done with the selected images."""


def _return_to_gallery(note: str, **numbers: object) -> Response:
    return redirect_to("gallery:show_gallery", note=note, **numbers, **read_filters(*FILTERS))


def _serialize_images(found: Sequence[tuple[Image, Job]]) -> list[tuple[ShownImage, Job]]:
    context = current_context()
    return [(serializers.serialize_image(image, context), job) for image, job in found]
