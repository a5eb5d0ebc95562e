"""Erases images, and prompts and metadata of jobs; rows, costs and digests remain.

An image is hidden first, then its objects are deleted, then it forgets where they lay: so nothing is stored that no row
knows of, and what a fault leaves half done is found again. Many are erased together, with few statements and requests.
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select, update
from sqlalchemy.orm import Session

from common.access import audit
from common.db.clock import now_sql
from common.db.engine import Database
from common.errors import IllegalTransitionError
from common.images import similarity
from common.logs import get_logger
from common.states.jobs import ImageStatus
from common.storage.port import ObjectStore
from common.tables import Image, Job

log = get_logger(__name__)
READABLE = tuple(status for status in ImageStatus if status.is_readable)


def erase_image(session: Session, image: Image) -> None:
    """Hide an image for good; nothing happens to one of which nothing is kept. Raises IllegalTransitionError."""
    if image.status is ImageStatus.QUARANTINED:
        raise IllegalTransitionError(
            "The image is waiting for review and cannot be deleted until the review has ended."
        )
    if image.status.is_readable:
        hide_images(session, [image.id])
        session.refresh(image)


def hide_images(session: Session, image_ids: Sequence[UUID], states: Sequence[ImageStatus] = READABLE) -> None:
    """Mark images that are in *states*, by default published, as erased, and forget what they look like."""
    moved = session.scalars(
        update(Image)
        .where(Image.id.in_(image_ids), Image.status.in_(states))
        .values(status=ImageStatus.ERASED)
        .returning(Image.id)
        .execution_options(synchronize_session=False)
    ).all()
    similarity.delete_fingerprints(session, moved)
    audit.blank_events(session, moved)


def hide_some_images(session: Session, chosen: Select[*tuple[Any, ...]], most: int) -> Sequence[Image]:
    """Hide the first published images of those *chosen*, whose ids are its first column; return them.

    Those that somebody else is about to change are left out.
    """
    first = session.scalars(chosen.limit(most)).all()
    free = select(Image.id).where(Image.id.in_(first), Image.status.in_(READABLE)).order_by(Image.id)
    ids = session.scalars(free.with_for_update(skip_locked=True)).all()
    hide_images(session, ids)
    return session.scalars(select(Image).where(Image.id.in_(ids))).all()


def delete_objects(database: Database, storage: ObjectStore, images: Sequence[Image]) -> Sequence[Image]:
    """Delete the objects of images that are hidden; return the images of which some cannot be deleted.

    These keep their keys, to be tried again some time; so do all when the storage does not answer, which raises
    StorageError.
    """
    objects = {
        image.id: [key for key in (image.thumbnail_key, image.storage_key) if key is not None] for image in images
    }
    failed = storage.delete_all([key for own in objects.values() for key in own])
    left = [image for image in images if not failed.keys().isdisjoint(objects[image.id])]
    if left:
        log.warning("images_not_deleted", count=len(left), first=str(left[0].id), reason=next(iter(failed.values())))
    _forget_objects(database, objects.keys() - {image.id for image in left})
    return left


def _forget_objects(database: Database, image_ids: Collection[UUID]) -> None:
    # Another clerk may be forgetting some of them: whoever comes second leaves these out.
    hidden = select(Image.id).where(Image.id.in_(image_ids), Image.status == ImageStatus.ERASED).order_by(Image.id)
    with database.transaction() as session:
        session.execute(
            update(Image)
            .where(Image.id.in_(hidden.with_for_update(skip_locked=True)))
            .values(storage_key=None, thumbnail_key=None)
            .execution_options(synchronize_session=False)
        )


def list_half_erased_images(session: Session, after: UUID, most: int) -> Sequence[Image]:
    """Return images that are hidden and whose objects may be there still, by id from *after* on."""
    half = select(Image).where(Image.id > after, Image.status == ImageStatus.ERASED, Image.storage_key.is_not(None))
    return session.scalars(half.order_by(Image.id).limit(most)).all()


def erase_prompts(session: Session, whose: ColumnElement[bool], most: int) -> list[UUID]:
    """Erase prompts and metadata of some ended jobs that *whose* selects; return which."""
    rows = session.scalars(
        select(Job)
        .where(Job.prompt_erased_at.is_(None), Job.finished_at.is_not(None), whose)
        .order_by(Job.finished_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()
    moment = session.scalars(select(now_sql(session))).one()
    for row in rows:
        row.request = {**row.request, "prompt": "", "negative_prompt": ""}
        row.annotations = {}
        row.prompt_erased_at = moment
    session.flush()
    return [row.id for row in rows]
