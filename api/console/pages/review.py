"""Review of quarantined images: show their colour, release them or confirm the block, and show the history."""

from functools import partial
from uuid import UUID

from flask import request
from werkzeug.wrappers import Response

from api.console.query_params import paged, read_filters
from api.console.rendering import render_page
from api.console.routing import FormPage, register_page
from api.console.urls import redirect_to
from api.images import quarantine as image_quarantine
from api.images.quarantine import Decision, QuarantinePath
from api.runtime.context import current_context
from api.web.file_routes import sends_files
from api.web.validation import refuse_not_found
from common.access.keys import Scope
from common.images import quarantine
from common.tables.quarantine import QuarantineState

PAGE_SIZE = 24
CURSOR_BOOK = "review"
ANY = "any"
DECISIONS = {"release": image_quarantine.release_image, "confirm": image_quarantine.confirm_block}
NOTES = {"release": "review-released", "confirm": "review-confirmed"}


@register_page("/review", Scope.SAFETY_REVIEW)
def list_quarantine() -> Response:
    """List quarantined images by state, newest first."""
    given = request.args.get("state", QuarantineState.WAITING)
    state = QuarantineState(given) if given in {*QuarantineState} else None
    with current_context().database.reading() as session:
        page = paged(
            CURSOR_BOOK, PAGE_SIZE, partial(quarantine.list_quarantined, session, state=state), lambda row: row[1].id
        )
    return render_page(
        "review/list.html",
        prints=[image_quarantine.serialize_quarantined_image(kept, image, []) for kept, image in page.rows],
        next=page.next,
        state=state or ANY,
        states=[*QuarantineState, ANY],
        filters=read_filters("state"),
    )


@register_page("/review/<image_id>", Scope.SAFETY_REVIEW)
def show_quarantined(image_id: str) -> Response:
    """Show a quarantined image as a colour, with its scores and history."""
    wanted = _parse_image_id(image_id)
    with current_context().database.reading() as session:
        shown = image_quarantine.load_quarantined_image(session, wanted)
        names = quarantine.load_key_names(session, {each.key_id for each in shown.reviews if each.key_id is not None})
    return render_page("review/print.html", print=shown, names=names)


@register_page("/review/<image_id>/preview", Scope.SAFETY_REVIEW)
@sends_files
def show_preview(image_id: str) -> Response:
    """Return the preview of the image; each view is recorded."""
    return image_quarantine.respond_preview(_parse_image_id(image_id))


@register_page("/review/<image_id>/<act>", Scope.SAFETY_REVIEW, post=True, form=FormPage("review:show_quarantined"))
def decide(image_id: str, act: str) -> Response:
    """Release an image or confirm its block."""
    wanted = _parse_image_id(image_id)
    if act not in DECISIONS:
        raise refuse_not_found()
    note = request.form.get("note", "").strip()
    DECISIONS[act](wanted, Decision.model_validate({"note": note} if note else {}))
    return redirect_to("review:list_quarantine", note=NOTES[act])


def _parse_image_id(image_id: str) -> UUID:
    return QuarantinePath.model_validate({"image_id": image_id}).image_id
