"""Idempotency keys: the same request, sent twice, makes one job (IETF draft idempotency-key-header)."""

import hashlib
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, Insert, Table, bindparam, delete, select, tuple_
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from common.db.clock import DatabaseClock, fetch_now
from common.db.dialects import InsertFunction, choose_insert
from common.db.engine import LOCK_NOT_AVAILABLE
from common.errors import IdempotencyInProgressError, IdempotencyKeyReusedError
from common.tables import IdempotencyKey

IDEMPOTENCY_KEY_PATTERN = re.compile(r'"?([A-Za-z0-9_-]{1,255})"?')


def parse_idempotency_key(header: str) -> str | None:
    """Return the key that an ``Idempotency-Key`` header carries, quoted or bare, or None if it is malformed."""
    match = IDEMPOTENCY_KEY_PATTERN.fullmatch(header)
    return match.group(1) if match and header.startswith('"') == header.endswith('"') else None


def fingerprint_request(method: str, path: str, body: Any) -> str:
    """Return a digest that is the same for the same request, whatever its key order and white space."""
    canonical = json.dumps([method, path, body], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class Reservation:
    """That *key* of *owner* is to make the job *job_id* from the request with the fingerprint *digest*."""

    owner: str
    key: str
    digest: str
    job_id: UUID

    @property
    def name(self) -> tuple[str, str]:
        """Return what no two reservations have in common."""
        return self.owner, self.key


def reserve_idempotency_key(session: Session, wanted: Reservation, hours: int) -> UUID | None:
    """Remember a key; return the job it made earlier, or None if it is new.

    A second transaction with the same key waits here until the first has ended; if that takes longer than the
    database lets anyone wait for a lock, IdempotencyInProgressError is raised. Raises IdempotencyKeyReusedError when
    the key was used for another request within *hours*.
    """
    (earlier,) = reserve_idempotency_keys(session, [wanted], hours)
    if isinstance(earlier, IdempotencyKeyReusedError):
        raise earlier
    return earlier


def reserve_idempotency_keys(
    session: Session, wanted: Sequence[Reservation], hours: int
) -> list[UUID | IdempotencyKeyReusedError | None]:
    """Reserve one after the other; return what ``reserve`` would return or, but for what is in progress, raise."""
    firsts: dict[tuple[str, str], Reservation] = {}
    for one in wanted:
        firsts.setdefault(one.name, one)
    taken = _insert_keys(session, [firsts[name] for name in sorted(firsts)], hours)  # others may lock the same: by name
    known = {name: first for name, first in firsts.items() if name in taken} | _load_reservations(
        session, firsts.keys() - taken
    )
    return [_compare_reservation(one, known[one.name]) for one in wanted]


def _compare_reservation(one: Reservation, known: Reservation) -> UUID | IdempotencyKeyReusedError | None:
    if known.digest != one.digest:
        return IdempotencyKeyReusedError()
    return None if known.job_id == one.job_id else known.job_id


def _insert_keys(session: Session, wanted: Sequence[Reservation], hours: int) -> set[tuple[str, str]]:
    """Enter those keys that are new or old enough; return their names."""
    if not wanted:
        return set()
    rows = [{"owner": one.owner, "key": one.key, "fingerprint": one.digest, "job_id": one.job_id} for one in wanted]
    try:
        taken = session.connection().execute(_build_upsert(choose_insert(session), hours), rows).all()
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
            raise IdempotencyInProgressError from error
        raise
    return {(owner, key) for owner, key in taken}


def _load_reservations(session: Session, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], Reservation]:
    if not names:
        return {}
    rows = session.scalars(select(IdempotencyKey).where(tuple_(IdempotencyKey.owner, IdempotencyKey.key).in_(names)))
    found = [Reservation(row.owner, row.key, row.fingerprint, row.job_id) for row in rows]
    return {one.name: one for one in found}


def release_idempotency_keys(session: Session, wanted: Sequence[Reservation]) -> None:
    """Forget keys that this transaction has reserved, for nothing came of them."""
    names = [one.name for one in wanted]
    if names:
        session.execute(delete(IdempotencyKey).where(tuple_(IdempotencyKey.owner, IdempotencyKey.key).in_(names)))


@cache
def _build_upsert(insert: InsertFunction, hours: int) -> Insert:
    """Return the statement that enters keys, or takes over such as are older than *hours*."""
    table = cast("Table", IdempotencyKey.__table__)  # the class would take the long way of the ORM
    given: dict[str, Any] = {name: bindparam(name) for name in ("owner", "key", "fingerprint", "job_id")}
    entered = insert(table).values({**given, "created_at": DatabaseClock()})
    return entered.on_conflict_do_update(
        index_elements=["owner", "key"],
        set_={name: entered.excluded[name] for name in ("fingerprint", "job_id", "created_at")},
        where=table.c.created_at < DatabaseClock(-timedelta(hours=hours)),
    ).returning(table.c.owner, table.c.key)


def delete_old_idempotency_keys(session: Session, hours: int, most: int) -> int:
    """Delete at most so many keys that are older than *hours*; return how many."""
    is_old = IdempotencyKey.created_at < fetch_now(session) - timedelta(hours=hours)
    names = select(IdempotencyKey.owner, IdempotencyKey.key).where(is_old).order_by(IdempotencyKey.created_at)
    # One that is used again meanwhile is young again, and stays.
    gone = delete(IdempotencyKey).where(tuple_(IdempotencyKey.owner, IdempotencyKey.key).in_(names.limit(most)), is_old)
    deleted = session.execute(gone.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", deleted).rowcount
