"""``/v1/quarantine``: reviewers preview blocked images of all owners as a colour, and release or confirm them."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from flask import Response
from pydantic import AfterValidator, Field
from sqlalchemy.orm import Session

from api.auth.bearer import current_caller, scope_required
from api.images import serializers
from api.images.schemas import BINARY, Safety
from api.runtime.context import current_context
from api.web import responses
from api.web.file_routes import sends_files
from api.web.output import Output, Time
from api.web.validation import PLAIN_PATTERN, Body, Id, Parsed, Path, Query, refuse_not_found
from common import tables
from common.access import audit
from common.access.audit import AuditObject
from common.access.keys import Scope
from common.errors import IllegalTransitionError, StorageError
from common.images import quarantine
from common.images.quarantine_encryption import FilePart
from common.jobs import prompt_text
from common.logs import get_logger
from common.states.audit import Act, ObjectKind
from common.states.jobs import ImageStatus
from common.storage.keys import build_quarantine_key
from common.tables import Image
from common.tables.quarantine import QuarantineState, ReviewAct

LONGEST_NOTE = 500


class Review(Output):
    """One review action on a quarantined image."""

    act: ReviewAct
    key_id: UUID | None = Field(
        description="API key used; null if the service acted because no decision was made in time."
    )
    note: str
    created_at: Time


class QuarantinedImage(Output):
    """A blocked image that is or was kept for review."""

    id: UUID = Field(description="ID of the image.")
    object: Literal["quarantined_image"] = "quarantined_image"
    state: QuarantineState
    image_status: ImageStatus
    job_id: UUID
    owner: str
    width: int
    height: int
    safety: Safety
    created_at: Time
    expires_at: Time = Field(description="When the image is deleted if no reviewer has decided.")
    ended_at: Time | None
    reviews: list[Review] = Field(description="All previews and decisions, oldest first; empty in lists.")


class QuarantinedImageList(Output):
    """A page of quarantined images, newest first."""

    object: Literal["list"] = "list"
    data: list[QuarantinedImage]
    has_more: bool
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


class QuarantinePath(Path):
    """The image ID of a quarantined image."""

    image_id: Id


class QuarantineQuery(Query):
    """The filters of a list of quarantined images."""

    state: QuarantineState | None = Field(None, description="Only images in this state.")
    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Maximum number of images per page.")
    cursor: str | None = Field(
        None, description="The `next` value of the previous page.", json_schema_extra={"format": "cursor"}
    )


class Decision(Body):
    """The reason for a review decision."""

    note: (
        Annotated[
            str,
            Field(max_length=LONGEST_NOTE, json_schema_extra={"pattern": PLAIN_PATTERN}),
            AfterValidator(prompt_text.clean_text),
        ]
        | None
    ) = Field(None, description="Note for the review record.")


blueprint = responses.create_blueprint("quarantine", "Blocked images awaiting review.", "/v1/quarantine")

CURSOR_BOOK = "quarantine"
"""The cursor namespace, shared because reviewers see the images of all owners."""

PREVIEW: responses.Success = {
    200: {"description": "An image of its size in a single colour", "content": {"image/webp": {"schema": BINARY}}}
}
WEBP = "image/webp"

log = get_logger(__name__)


@blueprint.get("", **responses.describe_route(Scope.SAFETY_REVIEW, {200: QuarantinedImageList}, 400, 422))
@scope_required(Scope.SAFETY_REVIEW)
def list_quarantine(query: QuarantineQuery) -> Response:
    """List quarantined images, newest first."""
    context = current_context()
    with context.database.reading() as session:
        page = context.cursors.paged(
            CURSOR_BOOK, query, partial(quarantine.list_quarantined, session, state=query.state), lambda row: row[1].id
        )
    shown = [serialize_quarantined_image(kept, image, []) for kept, image in page.rows]
    return responses.respond_json(QuarantinedImageList(data=shown, has_more=page.has_more, next=page.next))


@blueprint.get("/<image_id>", **responses.describe_route(Scope.SAFETY_REVIEW, {200: QuarantinedImage}, 404))
@scope_required(Scope.SAFETY_REVIEW)
def get_quarantined_image(path: QuarantinePath) -> Response:
    """Get the record of a quarantined image, with its safety scores and review history."""
    with current_context().database.reading() as session:
        return responses.respond_json(load_quarantined_image(session, path.image_id))


@blueprint.get("/<image_id>/preview", **responses.describe_route(Scope.SAFETY_REVIEW, PREVIEW, 404, 409, 410))
@scope_required(Scope.SAFETY_REVIEW)
@sends_files
def preview_quarantined_image(path: QuarantinePath) -> Response:
    """Preview a quarantined image, reduced to one of eight colours. The preview is recorded."""
    return respond_preview(path.image_id)


@blueprint.post(
    "/<image_id>/release",
    **responses.describe_route(Scope.SAFETY_REVIEW, {200: QuarantinedImage}, 400, 404, 409, 410, 413, 415, 422),
)
@scope_required(Scope.SAFETY_REVIEW)
def release_quarantined_image(path: QuarantinePath, body: Decision) -> Response:
    """Release an image that was blocked wrongly, and deliver it. Its job is unchanged and nothing is charged."""
    release_image(path.image_id, body)
    return _respond_reviewed(path.image_id)


@blueprint.post(
    "/<image_id>/confirm",
    **responses.describe_route(Scope.SAFETY_REVIEW, {200: QuarantinedImage}, 400, 404, 409, 413, 415, 422),
)
@scope_required(Scope.SAFETY_REVIEW)
def confirm_quarantined_image(path: QuarantinePath, body: Decision) -> Response:
    """Confirm that an image was blocked correctly, and delete it permanently."""
    confirm_block(path.image_id, body)
    return _respond_reviewed(path.image_id)


def respond_preview(image_id: UUID) -> Response:
    """Return the preview of an image and record that the caller previewed it; raise RefusedError."""
    context = current_context()
    with context.database.transaction() as session:
        image = _load_waiting_image(session, image_id)
        quarantine.record_preview(session, image_id, current_caller().key_id)
    preview = context.files.read_preview(image)
    return Response(preview, 200, headers={"Cache-Control": "no-store"}, content_type=WEBP)


def release_image(image_id: UUID, body: Decision) -> None:
    """Release an image; raise RefusedError, or IllegalTransitionError if it no longer awaits review."""
    context = current_context()
    with context.database.reading() as session:
        image = _load_waiting_image(session, image_id)
    # Stored before the row changes, and idempotent, so an interrupted release can simply be repeated.
    context.files.store_released(image)
    try:
        _record_decision(image, quarantine.release_image, Act.IMAGE_RELEASED, body)
    except IllegalTransitionError:
        with context.database.reading() as session:
            strays = quarantine.list_stray_keys(session, image.id)
        for key in strays:
            context.storage.delete(key)
        raise


def confirm_block(image_id: UUID, body: Decision) -> None:
    """Confirm a block; raise RefusedError, or IllegalTransitionError if the image no longer awaits review."""
    with current_context().database.reading() as session:
        image = _load_waiting_image(session, image_id)
    _record_decision(image, quarantine.confirm_block, Act.IMAGE_BLOCK_CONFIRMED, body)


def _record_decision(
    image: Image, decide: Callable[[Session, Image, UUID, str], None], act: Act, body: Decision
) -> None:
    context = current_context()
    with context.database.transaction() as session:
        decide(session, image, current_caller().key_id, body.note or "")
        # The owner of the image; the event belongs to the reviewer's owner.
        told = {"owner": image.owner, "job_id": str(image.job_id)}
        audit.record_event(session, current_caller(), act, AuditObject(ObjectKind.IMAGE, image.id), after=told)
    log.info("quarantine_decided", image_id=str(image.id), act=act)
    try:
        for part in FilePart:
            context.storage.delete(build_quarantine_key(image.id, part))
    except StorageError as error:
        # The decision is committed; the clerk deletes the files later.
        log.warning("quarantine_files_not_deleted", image_id=str(image.id), reason=error.code)


def _respond_reviewed(image_id: UUID) -> Response:
    with current_context().database.reading() as session:
        return responses.respond_json(load_quarantined_image(session, image_id))


def _load_waiting_image(session: Session, image_id: UUID) -> Image:
    found = quarantine.find_quarantined(session, image_id)
    if found is None:
        raise refuse_not_found()
    quarantine.require_waiting(*found)
    return found[1]


def load_quarantined_image(session: Session, image_id: UUID) -> QuarantinedImage:
    """Return one quarantined image with its review history; raise RefusedError if it does not exist."""
    found = quarantine.find_quarantined(session, image_id)
    if found is None:
        raise refuse_not_found()
    reviews = [
        Review(act=row.act, key_id=row.key_id, note=row.note, created_at=row.created_at)
        for row in quarantine.list_reviews(session, image_id)
    ]
    return serialize_quarantined_image(*found, reviews)


def serialize_quarantined_image(kept: tables.QuarantinedImage, image: Image, reviews: list[Review]) -> QuarantinedImage:
    """Return the representation of an image that is or was in quarantine."""
    return QuarantinedImage(
        id=image.id,
        state=kept.state,
        image_status=image.status,
        job_id=image.job_id,
        owner=image.owner,
        width=image.width,
        height=image.height,
        safety=serializers.serialize_safety(image),
        created_at=kept.created_at,
        expires_at=kept.expires_at,
        ended_at=kept.ended_at,
        reviews=reviews,
    )
