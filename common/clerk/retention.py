"""Retention duties: delete data whose retention period has passed.

Each takes one batch, of about a second at most, and returns how many rows it was; the schedule repeats it at once while
there is a full batch.
"""

from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlalchemy.orm import InstrumentedAttribute, Session

from common.access import audit, keys
from common.clerk.sweeps import FIRST
from common.clerk.terms import RetentionTerm, list_terms, load_keys_with_terms
from common.db.clock import fetch_now
from common.db.engine import Database
from common.images import erasure
from common.jobs import idempotency
from common.storage.port import ObjectStore
from common.tables import ApiKey, Image
from common.webhooks import outbox

IMAGES, PROMPTS, MESSAGES, ROWS = 500, 500, 500, 1000
"""The batches; the last is of rows of which nothing else has to be deleted."""


def delete_idempotency_keys(database: Database, hours: int) -> int:
    """Forget some idempotency keys older than *hours*; return how many."""
    with database.transaction() as session:
        return idempotency.delete_old_idempotency_keys(session, hours, ROWS)


def delete_console_sessions(database: Database) -> int:
    """Forget some sessions of the console that have ended; return how many."""
    with database.transaction() as session:
        return keys.delete_ended_sessions(session, ROWS)


def delete_audit_events(database: Database, days: int) -> int:
    """Forget some events of the audit trail that are older than *days*; return how many."""
    with database.transaction() as session:
        return audit.delete_old_events(session, days, ROWS)


def delete_messages(database: Database, days: int) -> int:
    """Forget some messages to webhooks that are older than their key, or else *days*, says; return how many."""
    deleted = 0
    with database.transaction() as session:
        for term in _load_terms(session, ApiKey.webhook_days, days):
            old = outbox.filter_messages(term.before, term.owner, term.filter_jobs(), jobless=term.is_default)
            if deleted == MESSAGES:
                break
            deleted += outbox.delete_messages(session, old, MESSAGES - deleted)
    return deleted


def erase_images(database: Database, storage: ObjectStore, days: int | None) -> int:
    """Erase some images that are older than their key, or else *days*, says; return how many.

    Returns 0 if the storage deletes none of them: to hide more would free nothing.
    """
    hidden: list[Image] = []
    readable = Image.status.in_(erasure.READABLE)
    with database.transaction() as session:
        for term in _load_terms(session, ApiKey.image_days, days):
            if len(hidden) == IMAGES:
                break
            hidden += erasure.hide_some_images(session, term.select_images(readable), IMAGES - len(hidden))
    left = erasure.delete_objects(database, storage, hidden)
    return len(hidden) if len(left) < len(hidden) else 0


def finish_erasures(
    database: Database, storage: ObjectStore, after: UUID = FIRST, most: int = IMAGES
) -> Sequence[UUID]:
    """Delete the objects of some hidden images that a fault left; return the ids of these images."""
    with database.reading() as session:
        left = erasure.list_half_erased_images(session, after, most)
    erasure.delete_objects(database, storage, left)
    return [image.id for image in left]


def erase_prompts(database: Database, days: int | None) -> int:
    """Erase the words of some jobs that ended longer ago than their key, or else *days*, says; return how many.

    Messages to webhooks repeat the metadata: those about these jobs go too, once nobody waits for them.
    """
    erased: list[UUID] = []
    with database.transaction() as session:
        for term in _load_terms(session, ApiKey.prompt_days, days):
            if len(erased) == PROMPTS:
                break
            erased += erasure.erase_prompts(session, term.filter_prompts(), PROMPTS - len(erased))
        outbox.delete_job_messages(session, erased)
    return len(erased)


def _load_terms(
    session: Session, column: InstrumentedAttribute[int | None], default: int | None
) -> Iterator[RetentionTerm]:
    return list_terms(load_keys_with_terms(session), column, default, fetch_now(session))
