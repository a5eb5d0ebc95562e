"""Review: blocked prints that were kept, blurred; let out, or confirmed; and who has done what."""

from uuid import UUID

from flask import request
from werkzeug.wrappers import Response

from api.console.query_params import chosen, read_cursor, write_cursor
from api.console.rendering import render
from api.console.routing import page
from api.console.urls import lead_to
from api.images import quarantine as image_quarantine
from api.images.quarantine import Decision, QuarantinePath
from api.runtime.context import services
from api.web.errors import RefusedError
from api.web.validation import not_found
from common.errors import IllegalTransitionError
from common.images import quarantine
from common.keys import Scope
from common.tables.quarantine import QuarantineState

PAGE_SIZE = 24
BOOK = "review"
ANY = "any"
DECISIONS = {"release": image_quarantine.release, "confirm": image_quarantine.confirm}
NOTES = {"release": "review-released", "confirm": "review-confirmed"}


@page("/review", Scope.SAFETY_REVIEW)
def list_quarantine() -> Response:
    """List what waits for a reviewer, or what has waited, the newest first."""
    given = request.args.get("state", QuarantineState.WAITING)
    state = QuarantineState(given) if given in {*QuarantineState} else None
    with services().database.reading() as session:
        found = quarantine.list_some(session, state=state, after=read_cursor(BOOK), limit=PAGE_SIZE + 1)
    shown, has_more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
    return render(
        "review/list.html",
        prints=[image_quarantine.show(kept, image, []) for kept, image in shown],
        next=write_cursor(BOOK, shown[-1][1].id if has_more else None),
        state=state or ANY,
        states=[*QuarantineState, ANY],
        filters=chosen("state"),
    )


@page("/review/<image_id>", Scope.SAFETY_REVIEW)
def show_quarantined(image_id: str) -> Response:
    """Show one print, blurred: what was found, and who has done what."""
    return _show(_read(image_id))


@page("/review/<image_id>/preview", Scope.SAFETY_REVIEW)
def show_preview(image_id: str) -> Response:
    """Show the print so blurred that only its colours and their places are left; the look goes on record."""
    return image_quarantine.answer_preview(_read(image_id))


@page("/review/<image_id>/<act>", Scope.SAFETY_REVIEW, post=True)
def decide(image_id: str, act: str) -> Response:
    """Let a print out, or confirm that it was blocked rightly."""
    wanted = _read(image_id)
    if act not in DECISIONS:
        raise not_found()
    note = request.form.get("note", "").strip()
    try:
        DECISIONS[act](wanted, Decision.model_validate({"note": note} if note else {}))
    except (RefusedError, IllegalTransitionError) as refused:
        return _show(wanted, refused)
    return lead_to("review:list_quarantine", note=NOTES[act])


def _show(image_id: UUID, refused: Exception | None = None) -> Response:
    with services().database.reading() as session:
        shown = image_quarantine.show_one(session, image_id)
        names = quarantine.name_keys(session, {each.key_id for each in shown.reviews if each.key_id is not None})
    return render("review/print.html", 200 if refused is None else 422, print=shown, names=names, refused=refused)


def _read(image_id: str) -> UUID:
    return QuarantinePath.model_validate({"image_id": image_id}).image_id
