"""Quarantine: encrypted blocked images that wait for review; the only module that changes their state."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import and_, exists, or_, select, update
from sqlalchemy.orm import Session

from common.db.clock import fetch_now, now_sql
from common.errors import IllegalTransitionError
from common.jobs import webhook_events
from common.jobs.request import OutputFormat
from common.states.jobs import ImageStatus
from common.storage.keys import build_image_key, build_released_prefix, build_thumbnail_key
from common.tables import ApiKey, Image, QuarantinedImage, Review
from common.tables.quarantine import QuarantineState, ReviewAct

STATE_OF_ACT = {
    ReviewAct.RELEASED: QuarantineState.RELEASED,
    ReviewAct.CONFIRMED: QuarantineState.CONFIRMED,
    ReviewAct.EXPIRED: QuarantineState.EXPIRED,
}
"""The state that an act leads to; a look leads to none."""


def quarantine_images(session: Session, images: Sequence[Image], days: int) -> None:
    """Enter which of *images*, just written, are kept for a reviewer, and for so many days."""
    session.flush()
    session.add_all(
        QuarantinedImage(
            image_id=image.id,
            owner=image.owner,
            created_at=now_sql(session),
            expires_at=now_sql(session, timedelta(days=days)),
        )
        for image in images
        if image.status is ImageStatus.QUARANTINED
    )


def list_quarantined(
    session: Session, *, state: QuarantineState | None, after: UUID | None, limit: int
) -> list[tuple[QuarantinedImage, Image]]:
    """Return what was put into quarantine, of every owner, the newest first, beginning after the image *after*."""
    query = select(QuarantinedImage, Image).join(Image, Image.id == QuarantinedImage.image_id)
    query = query.order_by(QuarantinedImage.image_id.desc()).limit(limit)
    if state is not None:
        query = query.where(QuarantinedImage.state == state)
    if after is not None:
        query = query.where(QuarantinedImage.image_id < after)
    return [(row, image) for row, image in session.execute(query)]


def find_quarantined(session: Session, image_id: UUID) -> tuple[QuarantinedImage, Image] | None:
    """Return one picture that was put into quarantine, or None."""
    query = select(QuarantinedImage, Image).join(Image, Image.id == QuarantinedImage.image_id)
    found = session.execute(query.where(QuarantinedImage.image_id == image_id)).one_or_none()
    return None if found is None else (found[0], found[1])


def list_reviews(session: Session, image_id: UUID) -> list[Review]:
    """Return what was done to a picture, the first first."""
    return list(session.scalars(select(Review).where(Review.image_id == image_id).order_by(Review.id)))


def load_key_names(session: Session, ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the names of keys, revoked ones included, by their id."""
    rows = session.execute(select(ApiKey.id, ApiKey.name).where(ApiKey.id.in_(ids)))
    return {row.id: row.name for row in rows}


def require_waiting(kept: QuarantinedImage, image: Image) -> None:
    """Raise IllegalTransitionError unless the picture still waits for a reviewer."""
    if kept.state is not QuarantineState.WAITING or image.status is not ImageStatus.QUARANTINED:
        state = image.status if kept.state is QuarantineState.WAITING else kept.state
        raise IllegalTransitionError(f"The image no longer waits for review; it is {state}.")


def record_preview(session: Session, image_id: UUID, key_id: UUID) -> None:
    """Write down that somebody looks at a picture."""
    session.add(Review(image_id=image_id, act=ReviewAct.PREVIEWED, key_id=key_id, created_at=now_sql(session)))


def build_release_keys(image: Image) -> tuple[str, str]:
    """Return the storage keys of a released image and of its thumbnail."""
    prefix = build_released_prefix(image.owner, image.job_id)
    digest, form = image.sha256 or "", OutputFormat((image.content_type or "").removeprefix("image/"))
    return build_image_key(prefix, image.position, digest, form), build_thumbnail_key(prefix, image.position, digest)


def list_stray_keys(session: Session, image_id: UUID) -> tuple[str, ...]:
    """Return under which keys a release that came to nothing may have left a picture that is not delivered."""
    image = session.get_one(Image, image_id, populate_existing=True)
    return () if image.released_at is not None or image.sha256 is None else build_release_keys(image)


def release_image(session: Session, image: Image, key_id: UUID, note: str) -> None:
    """Deliver an image whose files are at their destination, and publish the event; its cost is not charged.

    Raises IllegalTransitionError if somebody was faster.
    """
    full, thumbnail = build_release_keys(image)
    _close_review(session, image.id, ReviewAct.RELEASED, key_id, note)
    _move_image(
        session,
        image.id,
        ImageStatus.DELIVERED,
        storage_key=full,
        thumbnail_key=thumbnail,
        released_at=now_sql(session),
    )
    webhook_events.publish_release_event(session, image.job_id)


def confirm_block(session: Session, image: Image, key_id: UUID, note: str) -> None:
    """Say that the block was right; the sealed files are the clerk's to delete. Raises IllegalTransitionError."""
    _close_review(session, image.id, ReviewAct.CONFIRMED, key_id, note)
    _move_image(session, image.id, ImageStatus.BLOCKED)


def expire_waiting_images(session: Session, most: int) -> int:
    """End the wait of at most so many pictures that no reviewer has decided on in time; return how many."""
    late = select(QuarantinedImage.image_id).where(
        QuarantinedImage.state == QuarantineState.WAITING, QuarantinedImage.expires_at <= fetch_now(session)
    )
    ids = session.scalars(late.order_by(QuarantinedImage.image_id).limit(most).with_for_update(skip_locked=True)).all()
    for image_id in ids:
        _close_review(session, image_id, ReviewAct.EXPIRED, None, "")
        _move_image(session, image_id, ImageStatus.BLOCKED, must=False)
    return len(ids)


def list_collectable_images(session: Session, after: UUID, most: int) -> list[UUID]:
    """Return images whose sealed files nobody needs any more, decided on or erased meanwhile, by id from *after* on."""
    is_erased = exists().where(and_(Image.id == QuarantinedImage.image_id, Image.status != ImageStatus.QUARANTINED))
    over = or_(QuarantinedImage.state != QuarantineState.WAITING, is_erased)
    query = select(QuarantinedImage.image_id).where(
        QuarantinedImage.image_id > after, QuarantinedImage.collected_at.is_(None), over
    )
    return list(session.scalars(query.order_by(QuarantinedImage.image_id).limit(most)))


def record_collected(session: Session, image_ids: Collection[UUID]) -> None:
    """Write down that the sealed files of some images are gone."""
    rows = update(QuarantinedImage).where(QuarantinedImage.image_id.in_(image_ids))
    session.execute(rows.values(collected_at=now_sql(session)).execution_options(synchronize_session=False))


def _close_review(session: Session, image_id: UUID, act: ReviewAct, key_id: UUID | None, note: str) -> None:
    waiting = and_(QuarantinedImage.image_id == image_id, QuarantinedImage.state == QuarantineState.WAITING)
    moved = session.scalar(
        update(QuarantinedImage)
        .where(waiting)
        .values(state=STATE_OF_ACT[act], ended_at=now_sql(session))
        .returning(QuarantinedImage.image_id)
        .execution_options(synchronize_session=False)
    )
    if moved is None:
        raise IllegalTransitionError("The image no longer waits for review.")
    session.add(Review(image_id=image_id, act=act, key_id=key_id, note=note, created_at=now_sql(session)))


def _move_image(session: Session, image_id: UUID, target: ImageStatus, *, must: bool = True, **values: object) -> None:
    moved = session.scalar(
        update(Image)
        .where(Image.id == image_id, Image.status == ImageStatus.QUARANTINED)
        .values(status=target, **values)
        .returning(Image.id)
        .execution_options(synchronize_session=False)
    )
    if moved is None and must:
        raise IllegalTransitionError("The image has already left quarantine.")
