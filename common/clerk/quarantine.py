"""Clerk duties for the quarantine: expire reviews, and delete encrypted files that nothing needs any more."""

from collections.abc import Iterator, KeysView, Sequence
from datetime import timedelta
from itertools import islice
from uuid import UUID

from sqlalchemy import select

from common.clerk.sweeps import FIRST
from common.db.clock import fetch_now
from common.db.engine import Database
from common.db.ids import compute_first_id, parse_id
from common.images import quarantine
from common.images.quarantine_encryption import FilePart
from common.logs import get_logger
from common.storage.keys import QUARANTINE_PREFIX, build_quarantine_key
from common.storage.port import ObjectStore
from common.tables import QuarantinedImage

STRAYS_KEPT = timedelta(hours=6)
"""How long encrypted files without a row are kept: their attempt may not have finished yet."""

BATCH = 100
log = get_logger(__name__)


def expire_quarantine(database: Database) -> int:
    """End some of the waits that have run out; return how many."""
    with database.transaction() as session:
        return quarantine.expire_waiting_images(session, BATCH)


def collect_quarantine(
    database: Database, storage: ObjectStore, after: UUID = FIRST, most: int = BATCH
) -> Sequence[UUID]:
    """Delete the sealed files of some pictures that were decided on or erased; return which were looked at."""
    with database.reading() as session:
        over = quarantine.list_collectable_images(session, after, most)
        # A release that came to nothing may have left a file that is not sealed.
        objects = {
            image_id: [*_list_sealed_keys(image_id), *quarantine.list_stray_keys(session, image_id)]
            for image_id in over
        }
    failed = _delete_objects(storage, [key for own in objects.values() for key in own])
    with database.transaction() as session:
        quarantine.record_collected(session, [image_id for image_id, own in objects.items() if failed.isdisjoint(own)])
    return over


class StrayCollection:
    """Deletes the sealed files of lost attempts, which have no row; looks at the next *batch* of files each time."""

    def __init__(self, database: Database, storage: ObjectStore, batch: int) -> None:
        self._database = database
        self._storage = storage
        self._batch = batch
        self._listed: Iterator[str] = iter(())

    def run(self) -> int:
        """Look at the next files, and after the last start over with the first; return how many."""
        keys = list(islice(self._listed, self._batch))
        if not keys:
            self._listed = self._storage.list_keys(QUARANTINE_PREFIX)
            keys = list(islice(self._listed, self._batch))
        _delete_objects(
            self._storage, [key for image_id in self._find_strays(keys) for key in _list_sealed_keys(image_id)]
        )
        return len(keys)

    def _find_strays(self, keys: Sequence[str]) -> set[UUID]:
        names = (parse_id(key.removeprefix(QUARANTINE_PREFIX).partition("/")[0]) for key in keys)
        stored = {image_id for image_id in names if image_id is not None}
        kept = select(QuarantinedImage.image_id).where(
            QuarantinedImage.image_id.in_(stored), QuarantinedImage.collected_at.is_(None)
        )
        with self._database.reading() as session:
            known = set(session.scalars(kept))
            newest = compute_first_id(fetch_now(session) - STRAYS_KEPT)
        return {image_id for image_id in stored - known if image_id < newest}


def _list_sealed_keys(image_id: UUID) -> list[str]:
    return [build_quarantine_key(image_id, part) for part in FilePart]


def _delete_objects(storage: ObjectStore, keys: Sequence[str]) -> KeysView[str]:
    """Delete objects; return the keys of those that cannot be deleted."""
    failed = storage.delete_all(keys)
    if failed:
        log.warning("sealed_files_not_deleted", count=len(failed), reason=next(iter(failed.values())))
    return failed.keys()
