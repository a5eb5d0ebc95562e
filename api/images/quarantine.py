"""``/v1/quarantine``: for reviewers, who see blocked pictures of every owner blurred, and release or confirm them."""

from collections.abc import Callable
from typing import Annotated, Literal
from uuid import UUID

from flask import Response
from pydantic import AfterValidator, Field
from sqlalchemy.orm import Session

from api.auth.bearer import caller, needs
from api.images import serializers
from api.images.schemas import BINARY, Safety
from api.runtime.context import Context, services
from api.web import responses, text_fields
from api.web.errors import RefusedError
from api.web.output import Output, Time
from api.web.validation import Body, Id, Parsed, Path, Query, not_found
from common import tables
from common.errors import IllegalTransitionError, StorageError
from common.images import quarantine
from common.images.quarantine_encryption import Part, PictureSealer
from common.jobs import prompt_text
from common.keys import Scope
from common.logs import get_logger
from common.storage.keys import quarantine_key
from common.tables import Image
from common.tables.quarantine import QuarantineState, ReviewAct
from common.tables.states import ImageStatus

LONGEST_NOTE = 500


class Review(Output):
    """One act at a picture in quarantine."""

    act: ReviewAct
    key_id: UUID | None = Field(description="By which key; null: the service itself, when nobody decided in time.")
    note: str
    created_at: Time


class QuarantinedImage(Output):
    """A blocked picture that is, or was, kept for a reviewer."""

    id: UUID = Field(description="The id of the image.")
    object: Literal["quarantined_image"] = "quarantined_image"
    state: QuarantineState
    image_status: ImageStatus
    job_id: UUID
    owner: str
    width: int
    height: int
    safety: Safety
    created_at: Time
    expires_at: Time = Field(description="When it is deleted, unless a reviewer has decided before.")
    ended_at: Time | None
    reviews: list[Review] = Field(description="Every look and every decision, the first first; empty in a list.")


class QuarantinedImageList(Output):
    """A page of quarantined pictures, the newest first."""

    object: Literal["list"] = "list"
    data: list[QuarantinedImage]
    has_more: bool
    next: str | None = Field(description="The `cursor` of the next page.")


class QuarantinePath(Path):
    """Names a picture in quarantine by its image's id."""

    image_id: Id


class QuarantineQuery(Query):
    """Which pictures to list."""

    state: QuarantineState | None = Field(None, description="Only pictures in this state.")
    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Pictures a page.")
    cursor: str | None = Field(None, description="`next` of the page before.", json_schema_extra={"format": "cursor"})


class Decision(Body):
    """Why a reviewer decides so."""

    note: (
        Annotated[
            str,
            Field(max_length=LONGEST_NOTE, json_schema_extra={"pattern": text_fields.PLAIN_PATTERN}),
            AfterValidator(prompt_text.clean),
        ]
        | None
    ) = Field(None, description="For whoever reads the record later.")


blueprint = responses.create_blueprint("quarantine", "Blocked pictures that wait for a reviewer.", "/v1/quarantine")

BOOK = "quarantine"
"""Whose cursors these are: reviewers see the pictures of every owner."""

PREVIEW: responses.Success = {
    200: {"description": "The picture, blurred", "content": {"image/webp": {"schema": BINARY}}}
}
WEBP = "image/webp"

logger = get_logger(__name__)


@blueprint.get("", **responses.describe(Scope.SAFETY_REVIEW, {200: QuarantinedImageList}, 400, 422))
@needs(Scope.SAFETY_REVIEW)
def list_quarantine(query: QuarantineQuery) -> Response:
    """List what was put into quarantine, the newest first."""
    context = services()
    after = None
    if query.cursor is not None and (after := context.cursors.read(BOOK, query.cursor)) is None:
        raise RefusedError("invalid_cursor", "Use the `next` of a page of this list, unchanged.")
    with context.database.reading() as session:
        rows = quarantine.list_some(session, state=query.state, after=after, limit=query.limit + 1)
    page, has_more = rows[: query.limit], len(rows) > query.limit
    following = context.cursors.write(BOOK, page[-1][1].id) if has_more else None
    shown = [show(kept, image, []) for kept, image in page]
    return responses.answer(QuarantinedImageList(data=shown, has_more=has_more, next=following))


@blueprint.get("/<image_id>", **responses.describe(Scope.SAFETY_REVIEW, {200: QuarantinedImage}, 404))
@needs(Scope.SAFETY_REVIEW)
def get_quarantined_image(path: QuarantinePath) -> Response:
    """Look at the record of one picture: what was found, and who has done what."""
    with services().database.reading() as session:
        return responses.answer(show_one(session, path.image_id))


@blueprint.get("/<image_id>/preview", **responses.describe(Scope.SAFETY_REVIEW, PREVIEW, 404, 409, 410))
@needs(Scope.SAFETY_REVIEW)
def preview_quarantined_image(path: QuarantinePath) -> Response:
    """Look at a picture, so blurred that only its colours and their places are left; the look goes on record."""
    return answer_preview(path.image_id)


@blueprint.post(
    "/<image_id>/release",
    **responses.describe(Scope.SAFETY_REVIEW, {200: QuarantinedImage}, 400, 404, 409, 410, 413, 415, 422),
)
@needs(Scope.SAFETY_REVIEW)
def release_quarantined_image(path: QuarantinePath, body: Decision) -> Response:
    """Deliver a picture: it was blocked wrongly. Its job stays as it is, and nothing is charged."""
    release(path.image_id, body)
    return _answer(path.image_id)


@blueprint.post(
    "/<image_id>/confirm",
    **responses.describe(Scope.SAFETY_REVIEW, {200: QuarantinedImage}, 400, 404, 409, 413, 415, 422),
)
@needs(Scope.SAFETY_REVIEW)
def confirm_quarantined_image(path: QuarantinePath, body: Decision) -> Response:
    """Say that a picture was blocked rightly: it is deleted for good."""
    confirm(path.image_id, body)
    return _answer(path.image_id)


def answer_preview(image_id: UUID) -> Response:
    """Return a picture blurred, and write down that the caller looks at it; raise RefusedError."""
    context = services()
    with context.database.transaction() as session:
        _find_waiting(session, image_id)
        quarantine.note_preview(session, image_id, caller().key_id)
    preview = _unseal(context, image_id, Part.PREVIEW)
    return Response(preview, 200, headers={"Cache-Control": "no-store"}, content_type=WEBP)


def release(image_id: UUID, body: Decision) -> None:
    """Deliver a picture; raise RefusedError, or IllegalTransitionError if it no longer waits."""
    context = services()
    with context.database.reading() as session:
        image = _find_waiting(session, image_id)
    # Before the row says so, and the same bytes however often: a release that was cut short is simply done again.
    full, thumbnail = quarantine.destination(image)
    context.storage.put(full, _unseal(context, image.id, Part.FULL), image.content_type or "")
    context.storage.put(thumbnail, _unseal(context, image.id, Part.THUMBNAIL), WEBP)
    try:
        _decide(image, quarantine.release, body)
    except IllegalTransitionError:
        with context.database.reading() as session:
            strays = quarantine.strays(session, image.id)
        for key in strays:
            context.storage.delete(key)
        raise


def confirm(image_id: UUID, body: Decision) -> None:
    """Say that a block was right; raise RefusedError, or IllegalTransitionError if the picture no longer waits."""
    with services().database.reading() as session:
        image = _find_waiting(session, image_id)
    _decide(image, quarantine.confirm, body)


def _decide(image: Image, act: Callable[[Session, Image, UUID, str], None], body: Decision) -> None:
    context = services()
    with context.database.transaction() as session:
        act(session, image, caller().key_id, body.note or "")
    logger.info("quarantine decided", image_id=str(image.id), act=act.__name__)
    try:
        for part in Part:
            context.storage.delete(quarantine_key(image.id, part))
    except StorageError as error:
        # The decision stands; the clerk deletes what is left.
        logger.warning("sealed files not deleted", image_id=str(image.id), reason=error.code)


def _answer(image_id: UUID) -> Response:
    with services().database.reading() as session:
        return responses.answer(show_one(session, image_id))


def _find_waiting(session: Session, image_id: UUID) -> Image:
    found = quarantine.find(session, image_id)
    if found is None:
        raise not_found()
    quarantine.require_waiting(*found)
    return found[1]


def _unseal(context: Context, image_id: UUID, part: Part) -> bytes:
    sealer = PictureSealer(context.settings.read_secret())
    return sealer.open(image_id, part, context.storage.get(quarantine_key(image_id, part)))


def show_one(session: Session, image_id: UUID) -> QuarantinedImage:
    """Return what is shown of one picture, what was done to it included; raise RefusedError if there is none."""
    found = quarantine.find(session, image_id)
    if found is None:
        raise not_found()
    reviews = [
        Review(act=row.act, key_id=row.key_id, note=row.note, created_at=row.created_at)
        for row in quarantine.list_reviews(session, image_id)
    ]
    return show(*found, reviews)


def show(kept: tables.QuarantinedImage, image: Image, reviews: list[Review]) -> QuarantinedImage:
    """Return what is shown of a picture that is, or was, in quarantine."""
    return QuarantinedImage(
        id=image.id,
        state=kept.state,
        image_status=image.status,
        job_id=image.job_id,
        owner=image.owner,
        width=image.width,
        height=image.height,
        safety=serializers.show_safety(image),
        created_at=kept.created_at,
        expires_at=kept.expires_at,
        ended_at=kept.ended_at,
        reviews=reviews,
    )
