"""Deletes stored objects that nothing refers to any more: of failed attempts, of expired assets, of lost uploads."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import or_, select, tuple_, update

from common.clerk.sweeps import FIRST
from common.db.clock import fetch_now, now_sql
from common.db.engine import Database
from common.images import assets
from common.logs import get_logger
from common.states.jobs import Outcome
from common.storage.keys import build_attempt_prefix
from common.storage.port import ObjectStore
from common.tables import Attempt, Job

ORPHANS_KEPT = timedelta(hours=1)
"""How long the objects of a failed attempt stay: a late upload of a paused press must not slip in after the broom."""

BATCH = 100
log = get_logger(__name__)


def collect_orphans(database: Database, storage: ObjectStore, after: UUID = FIRST, most: int = BATCH) -> Sequence[UUID]:
    """Delete the objects that some attempts left behind which did not become the job's result; return their jobs."""
    with database.reading() as session:
        left = session.execute(
            select(Attempt.job_id, Attempt.number, Job.owner)
            .join(Job, Job.id == Attempt.job_id)
            .where(
                Attempt.job_id > after,
                Attempt.collected_at.is_(None),
                # Each by itself: so says the index.
                Attempt.outcome != Outcome.RUNNING,
                Attempt.outcome != Outcome.SUCCEEDED,
                or_(Attempt.ended_at.is_(None), Attempt.ended_at < fetch_now(session) - ORPHANS_KEPT),
            )
            .order_by(Attempt.job_id, Attempt.number)
            .limit(most)
        ).all()
    objects = {
        (job_id, number): list(storage.list_keys(build_attempt_prefix(owner, job_id, number)))
        for job_id, number, owner in left
    }
    failed = storage.delete_all([key for own in objects.values() for key in own])
    if failed:
        log.warning("orphans_not_deleted", count=len(failed), reason=next(iter(failed.values())))
    collected = [attempt for attempt, own in objects.items() if failed.keys().isdisjoint(own)]
    with database.transaction() as session:
        session.execute(
            update(Attempt)
            .where(tuple_(Attempt.job_id, Attempt.number).in_(collected))
            .values(collected_at=now_sql(session))
            .execution_options(synchronize_session=False)
        )
    return [job_id for job_id, _ in objects]


def collect_assets(database: Database, storage: ObjectStore, after: UUID = FIRST, most: int = BATCH) -> Sequence[UUID]:
    """Delete some assets whose time has passed and that no open job names, and what was left half done.

    Returns the ids of all that were looked at. An asset that is still named is looked at again the next time round.
    """
    with database.reading() as session:
        found = assets.list_collectable_assets(session, after, most)
        named = {owner: assets.list_named_assets(session, owner) for owner in {asset.owner for asset in found}}
    free = [asset for asset in found if asset.stored_at is None or asset.id not in named[asset.owner]]
    with database.transaction() as session:
        assets.hide_assets(session, free)
    assets.erase_assets(database, storage, free)
    return [asset.id for asset in found]
