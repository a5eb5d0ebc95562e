"""Clerk duties for the quarantine: expire reviews, and delete encrypted files that nothing needs any more."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from common.db.clock import fetch_now
from common.db.engine import Database
from common.db.ids import compute_first_id, parse_id
from common.images import quarantine
from common.images.quarantine_encryption import FilePart
from common.storage.keys import QUARANTINE_PREFIX, build_quarantine_key
from common.storage.port import ObjectStore
from common.tables import QuarantinedImage

STRAYS_KEPT = timedelta(hours=6)
"""How long encrypted files without a row are kept: their attempt may not have finished yet."""


def expire_quarantine(database: Database) -> int:
    """End the waits that have run out; return how many."""
    with database.transaction() as session:
        return quarantine.expire_waiting_images(session)


def collect_quarantine(database: Database, storage: ObjectStore) -> int:
    """Delete the sealed files of pictures that were decided on or erased, and of lost attempts; return of how many."""
    with database.reading() as session:
        over = quarantine.list_collectable_images(session)
    for image_id in over:
        _delete_sealed_files(storage, image_id)
        with database.reading() as session:
            left = quarantine.list_stray_keys(session, image_id)
        for key in left:
            storage.delete(key)
        with database.transaction() as session:
            quarantine.record_collected(session, image_id)
    strays = _find_strays(database, storage)
    for image_id in strays:
        _delete_sealed_files(storage, image_id)
    return len(over) + len(strays)


def _find_strays(database: Database, storage: ObjectStore) -> set[UUID]:
    stored = {
        parse_id(key.removeprefix(QUARANTINE_PREFIX).partition("/")[0]) for key in storage.list_keys(QUARANTINE_PREFIX)
    }
    with database.reading() as session:
        known = set(session.scalars(select(QuarantinedImage.image_id).where(QuarantinedImage.collected_at.is_(None))))
        newest = compute_first_id(fetch_now(session) - STRAYS_KEPT)
    return {image_id for image_id in stored if image_id is not None and image_id not in known and image_id < newest}


def _delete_sealed_files(storage: ObjectStore, image_id: UUID) -> None:
    for part in FilePart:
        storage.delete(build_quarantine_key(image_id, part))
