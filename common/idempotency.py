"""Idempotency keys: the same request, sent twice, makes one job (IETF draft idempotency-key-header)."""

import hashlib
import json
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from common.database import now
from common.errors import IdempotencyInProgressError, IdempotencyKeyReusedError
from common.models import IdempotencyKey

LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL's code for a lock that was not to be had in time."""

KEY = re.compile(r'"?([A-Za-z0-9_-]{1,255})"?')


def parse(header: str) -> str | None:
    """Return the key that an ``Idempotency-Key`` header carries, quoted or bare, or None if it is malformed."""
    match = KEY.fullmatch(header)
    return match.group(1) if match and header.startswith('"') == header.endswith('"') else None


def fingerprint(method: str, path: str, body: Any) -> str:
    """Return a digest that is the same for the same request, whatever its key order and white space."""
    canonical = json.dumps([method, path, body], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def reserve(session: Session, owner: str, key: str, digest: str, job_id: UUID, hours: int) -> UUID | None:
    """Remember that *key* makes *job_id*; return the job it made earlier, or None if it is new.

    A second transaction with the same key waits here until the first has ended; if that takes longer than the
    database lets anyone wait for a lock, IdempotencyInProgressError is raised. Raises IdempotencyKeyReusedError when
    the key was used for another request within *hours*.
    """
    session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.owner == owner,
            IdempotencyKey.key == key,
            IdempotencyKey.created_at < now(session, -timedelta(hours=hours)),
        )
    )
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    row = {"owner": owner, "key": key, "fingerprint": digest, "job_id": job_id, "created_at": now(session)}
    try:
        inserted = session.scalar(
            insert(IdempotencyKey).values(row).on_conflict_do_nothing().returning(IdempotencyKey.job_id)
        )
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
            raise IdempotencyInProgressError from error
        raise
    if inserted is not None:
        return None
    earlier = session.scalars(
        select(IdempotencyKey).where(IdempotencyKey.owner == owner, IdempotencyKey.key == key)
    ).one()
    if earlier.fingerprint != digest:
        raise IdempotencyKeyReusedError
    return earlier.job_id


def forget_old(session: Session, hours: int) -> None:
    """Delete the keys that are older than *hours*."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < now(session, -timedelta(hours=hours))))
