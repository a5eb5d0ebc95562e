"""Erases images, and prompts and metadata of jobs; rows, costs and digests remain.

An image is hidden first, then its objects are deleted, then it forgets where they lay: so nothing is stored that no row
knows of, and what a fault leaves half done is found again.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from common.access import audit
from common.db.clock import now_sql
from common.db.engine import Database
from common.errors import IllegalTransitionError
from common.images import similarity
from common.states.jobs import ImageStatus
from common.storage.port import ObjectStore
from common.tables import Image, Job

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


def delete_objects(database: Database, storage: ObjectStore, image: Image) -> None:
    """Delete the objects of an image that is hidden; raise StorageError, and then try again some time."""
    for key in (image.thumbnail_key, image.storage_key):
        if key is not None:
            storage.delete(key)
    with database.transaction() as session:
        session.execute(
            update(Image)
            .where(Image.id == image.id, Image.status == ImageStatus.ERASED)
            .values(storage_key=None, thumbnail_key=None)
        )


def list_half_erased_images(session: Session, most: int) -> Sequence[Image]:
    """Return images that are hidden and whose objects may be there still."""
    half = select(Image).where(Image.status == ImageStatus.ERASED, Image.storage_key.is_not(None))
    return session.scalars(half.order_by(Image.created_at).limit(most)).all()


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
