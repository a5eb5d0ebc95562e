"""Idempotency keys: the same request, sent twice, makes one job (IETF draft idempotency-key-header)."""

import hashlib
import json
import re
from datetime import timedelta
from functools import cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Executable, Table, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from common.database import now
from common.database_clock import Clock
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
    row = {"owner": owner, "key": key, "fingerprint": digest, "job_id": job_id}
    try:
        taken = session.connection().scalar(_take(session.get_bind().dialect.name, hours), row)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
            raise IdempotencyInProgressError from error
        raise
    if taken is not None:
        return None
    earlier = session.scalars(
        select(IdempotencyKey).where(IdempotencyKey.owner == owner, IdempotencyKey.key == key)
    ).one()
    if earlier.fingerprint != digest:
        raise IdempotencyKeyReusedError
    return earlier.job_id


@cache
def _take(dialect: str, hours: int) -> Executable:
    """Return the statement that enters a key, or takes over one that is older than *hours*."""
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    table = cast("Table", IdempotencyKey.__table__)  # the class would take the long way of the ORM
    given: dict[str, Any] = {name: bindparam(name) for name in ("owner", "key", "fingerprint", "job_id")}
    entered = insert(table).values({**given, "created_at": Clock()})
    return entered.on_conflict_do_update(
        index_elements=["owner", "key"],
        set_={name: entered.excluded[name] for name in ("fingerprint", "job_id", "created_at")},
        where=table.c.created_at < Clock(-timedelta(hours=hours)),
    ).returning(table.c.job_id)


def forget_old(session: Session, hours: int) -> None:
    """Delete the keys that are older than *hours*."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < now(session, -timedelta(hours=hours))))
