"""Retention duties: delete data whose retention period has passed, and objects that nothing refers to."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.access import audit, keys
from common.db.clock import now_sql
from common.db.engine import Database
from common.images import assets, erasure
from common.jobs import idempotency
from common.states.jobs import Outcome
from common.storage.keys import build_attempt_prefix
from common.storage.port import ObjectStore
from common.tables import ApiKey, Attempt, Image, Job
from common.webhooks import outbox

ORPHANS_KEPT = timedelta(hours=1)
"""How long the objects of a failed attempt stay: a late upload of a paused press must not slip in after the broom."""

BATCH = 100


def delete_idempotency_keys(database: Database, hours: int) -> None:
    """Forget idempotency keys older than *hours*."""
    with database.transaction() as session:
        idempotency.delete_old_idempotency_keys(session, hours)


def delete_console_sessions(database: Database) -> int:
    """Forget sessions of the console that have ended; return how many."""
    with database.transaction() as session:
        return keys.delete_ended_sessions(session)


def delete_audit_events(database: Database, days: int) -> int:
    """Forget some events of the audit trail that are older than *days*; return how many."""
    with database.transaction() as session:
        return audit.delete_old_events(session, days)


def delete_messages(database: Database, days: int) -> int:
    """Forget some messages to webhooks that are older than their key, or else *days*, says; return how many."""
    forgotten = 0
    with database.reading() as session:
        found = list_terms(session, ApiKey.webhook_days, days)
    for term in found:
        with database.transaction() as session:
            forgotten += outbox.delete_old_messages(session, term.days, term.jobs, jobless=term.is_default)
    return forgotten


def erase_images(database: Database, storage: ObjectStore, days: int | None) -> int:
    """Erase some images that are older than their key, or else *days*, says; return how many."""
    with database.reading() as session:
        found = list_terms(session, ApiKey.image_days, days)
    for term in found:
        with database.transaction() as session:
            old = select(Image.id).where(Image.created_at < now_sql(session, -term.age), Image.storage_key.is_not(None))
            if term.jobs is not None:
                old = old.join(Job, Job.id == Image.job_id).where(term.jobs)
            old = old.where(Image.status.in_(erasure.READABLE)).order_by(Image.created_at).limit(BATCH)
            erasure.hide_images(session, session.scalars(old).all())
    with database.reading() as session:
        hidden = erasure.list_half_erased_images(session, BATCH)
    for image in hidden:
        erasure.delete_objects(database, storage, image)
    return len(hidden)


def erase_prompts(database: Database, days: int | None) -> int:
    """Erase the words of some jobs that ended longer ago than their key, or else *days*, says; return how many.

    Messages to webhooks repeat the metadata: those about these jobs go too, once nobody waits for them.
    """
    erased = 0
    with database.reading() as session:
        found = list_terms(session, ApiKey.prompt_days, days)
    for term in found:
        with database.transaction() as session:
            old = Job.finished_at < now_sql(session, -term.age)
            ids = erasure.erase_prompts(session, old if term.jobs is None else and_(old, term.jobs), BATCH)
            outbox.delete_job_messages(session, ids)
        erased += len(ids)
    return erased


def collect_orphans(database: Database, storage: ObjectStore) -> int:
    """Delete the objects that attempts left behind which did not become the job's result; return how many."""
    with database.reading() as session:
        left = session.execute(
            select(Attempt.job_id, Attempt.number, Job.owner)
            .join(Job, Job.id == Attempt.job_id)
            .where(
                Attempt.collected_at.is_(None),
                Attempt.outcome.not_in((Outcome.RUNNING, Outcome.SUCCEEDED)),
                or_(Attempt.ended_at.is_(None), Attempt.ended_at < now_sql(session, -ORPHANS_KEPT)),
            )
            .limit(BATCH)
        ).all()
    deleted = 0
    for job_id, number, owner in left:
        for key in list(storage.list_keys(build_attempt_prefix(owner, job_id, number))):
            storage.delete(key)
            deleted += 1
        with database.transaction() as session:
            session.execute(
                update(Attempt)
                .where(Attempt.job_id == job_id, Attempt.number == number)
                .values(collected_at=now_sql(session))
            )
    return deleted


def collect_assets(database: Database, storage: ObjectStore) -> int:
    """Delete the assets whose time has passed and that no open job names, and what was left half done; return how many.

    An asset that is still named is looked at again next time.
    """
    with database.reading() as session:
        expired, found = assets.list_expired_assets(session), list(assets.list_unfinished_assets(session))
        named = {owner: assets.list_named_assets(session, owner) for owner in {asset.owner for asset in expired}}
    for asset in expired:
        if asset.id in named[asset.owner]:
            continue
        with database.transaction() as session:
            assets.hide_asset(session, asset)
        found.append(asset)
    for asset in found:
        assets.erase_asset(database, storage, asset)
    return len(found)


@dataclass(frozen=True)
class RetentionTerm:
    """So many days for what came of the jobs that a condition selects; None: of any, or of none."""

    days: int
    jobs: ColumnElement[bool] | None = None
    is_default: bool = False

    @property
    def age(self) -> timedelta:
        """Return the term as a span of time."""
        return timedelta(days=self.days)


def list_terms(session: Session, column: InstrumentedAttribute[int | None], default: int | None) -> list[RetentionTerm]:
    """Return the terms that are in force: one for each number in *column*, and *default* for all other keys."""
    own = session.scalars(select(column).where(column.is_not(None)).distinct().order_by(column)).all()
    found = [RetentionTerm(days, _filter_by_keys(column == days)) for days in own if days is not None]
    if default is None:
        return found
    if not found:
        return [RetentionTerm(default, is_default=True)]
    others = Job.key_id.not_in(select(ApiKey.id).where(column.is_not(None)))
    return [*found, RetentionTerm(default, or_(Job.key_id.is_(None), others), is_default=True)]


def _filter_by_keys(chosen: ColumnElement[bool]) -> ColumnElement[bool]:
    """Select the jobs of some keys; by their owners too, for which there are indexes."""
    return and_(Job.owner.in_(select(ApiKey.owner).where(chosen)), Job.key_id.in_(select(ApiKey.id).where(chosen)))
