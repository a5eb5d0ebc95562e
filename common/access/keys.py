"""API keys: made once, shown once, kept as a digest.

A key is ``prk_<8 characters of id>_<43 characters of secret>``: the prefix is for secret scanners, the id for logs
and for finding the row, and 256 random bits need no slow hash.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, or_, select, update
from sqlalchemy.orm import Session

from common.access import audit
from common.access.audit import AuditObject, Keyless
from common.db.clock import DatabaseClock, now_sql
from common.db.ids import create_id
from common.safety.policy import PolicyOverrides
from common.states.audit import Act, ObjectKind
from common.tables import ApiKey, ConsoleSession

API_KEY_PATTERN = re.compile(r"prk_([A-Za-z0-9]{8})_([A-Za-z0-9_-]{43})")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
LAST_USED_PRECISION = timedelta(minutes=1)
NO_POLICY = PolicyOverrides()


_LIVING = select(ApiKey).where(
    ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > DatabaseClock())
)
_LIVE = _LIVING.where(ApiKey.prefix == bindparam("prefix"))
_IN_SESSION = _LIVING.join(ConsoleSession, ConsoleSession.key_id == ApiKey.id).where(
    ConsoleSession.expires_at > DatabaseClock()
)


class Scope(StrEnum):
    """The scopes of an API key."""

    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    STYLES_READ = "styles:read"
    STYLES_WRITE = "styles:write"
    CAMPAIGNS_READ = "campaigns:read"
    CAMPAIGNS_WRITE = "campaigns:write"
    CAMPAIGNS_APPROVE = "campaigns:approve"  # name what a campaign is to print, after which it may be started
    USAGE_READ = "usage:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    USAGE_ALL = "usage:all"  # of all owners and presses: for the operator
    SAFETY_REVIEW = "safety:review"  # see blocked pictures of all owners, release or confirm them: likewise
    KEYS_ADMIN = "keys:admin"  # make and revoke keys of the same owner, with no more scopes than this key has
    AUDIT_READ = "audit:read"  # see what the keys of the same owner did
    AUDIT_ALL = "audit:all"  # see what the keys of all owners did: for the operator


SPECIAL_SCOPES = (Scope.USAGE_ALL, Scope.SAFETY_REVIEW, Scope.KEYS_ADMIN, Scope.AUDIT_READ, Scope.AUDIT_ALL)
"""What a key may do only if it is made for it: see other owners, other keys, or what these did."""

TENANT_SCOPES = tuple(scope for scope in Scope if scope not in SPECIAL_SCOPES)
"""What a key may do unless it is made for something else."""


KEY_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@+-]{0,63}")
"""What a key may be called, and an owner."""


@dataclass(frozen=True)
class RetentionDays:
    """For how many days is kept what came by a key; None: for as long as the settings say."""

    image_days: int | None = None
    asset_days: int | None = None
    prompt_days: int | None = None
    webhook_days: int | None = None

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        """Return what a key says."""
        return cls(row.image_days, row.asset_days, row.prompt_days, row.webhook_days)


def create_api_key(
    session: Session,
    name: str,
    owner: str | None = None,
    scopes: Sequence[Scope] = TENANT_SCOPES,
    expires_at: datetime | None = None,
    kept: RetentionDays = RetentionDays(),
    safety: PolicyOverrides = NO_POLICY,
    caller: audit.Caller | None = None,
) -> str:
    """Make a key for *owner* (by default one called like the key) and return it: the only time it can be read.

    Jobs submitted with it are checked at least as strictly as *safety* says. *caller* makes it; None is the operator.
    """
    prefix = "".join(secrets.choice(ALPHABET) for _ in range(8))
    key = f"prk_{prefix}_{secrets.token_urlsafe(32)}"
    row = ApiKey(
        owner=owner or name,
        name=name,
        prefix=prefix,
        digest=digest_api_key(key),
        scopes=[*map(str, scopes)],
        expires_at=expires_at,
        **asdict(kept),
        safety=safety.dump_row(),
    )
    session.add(row)
    session.flush()
    audit.record_event(
        session,
        caller or Keyless(row.owner),
        Act.KEY_CREATED,
        AuditObject(ObjectKind.KEY, prefix),
        after={
            "owner": row.owner,
            "name": name,
            "scopes": row.scopes,
            "expires_at": expires_at.isoformat() if expires_at else None,
            "safety": row.safety,
            **asdict(kept),
        },
    )
    return key


def find_api_key(session: Session, key: str) -> ApiKey | None:
    """Return the row of a valid key; None for one that is malformed, unknown, expired or revoked."""
    match = API_KEY_PATTERN.fullmatch(key)
    row = session.scalar(_LIVE, {"prefix": match.group(1) if match else ""})
    # The comparison runs in every case, so that the time taken tells nothing.
    known = row.digest if row is not None else "0" * 64
    return row if hmac.compare_digest(digest_api_key(key), known) else None


def open_console_session(session: Session, row: ApiKey, lifetime: timedelta) -> UUID:
    """Start a session of the console for a key and return its id."""
    opened = ConsoleSession(id=create_id(), key_id=row.id, expires_at=now_sql(session, lifetime))
    session.add(opened)
    session.flush()
    return opened.id


def load_session_keys(session: Session, session_ids: Collection[UUID]) -> dict[UUID, ApiKey]:
    """Return the keys of those of these sessions that have not ended, by the sessions' ids.

    A session ends when it is closed or expires, and when its key is revoked or expires.
    """
    query = _IN_SESSION.add_columns(ConsoleSession.id).where(ConsoleSession.id.in_(session_ids))
    return {session_id: row for row, session_id in session.execute(query)}


def close_console_session(session: Session, session_id: UUID) -> None:
    """End a session of the console, if it has not ended."""
    session.execute(delete(ConsoleSession).where(ConsoleSession.id == session_id))


def delete_ended_sessions(session: Session, most: int) -> int:
    """Delete at most so many sessions that have expired or whose key has expired or was revoked; return how many."""
    ended = (
        select(ConsoleSession.id)
        .where(
            or_(
                ConsoleSession.expires_at <= now_sql(session),
                ConsoleSession.key_id.not_in(_LIVING.with_only_columns(ApiKey.id)),
            )
        )
        .limit(most)
    )
    found = session.scalars(delete(ConsoleSession).where(ConsoleSession.id.in_(ended)).returning(ConsoleSession.id))
    return len(found.all())


def find_owned_api_key(session: Session, owner: str, prefix: str) -> ApiKey | None:
    """Return a key of *owner*, revoked or not, by the eight characters after ``prk_``."""
    return session.scalar(select(ApiKey).where(ApiKey.owner == owner, ApiKey.prefix == prefix))


def list_owned_api_keys(session: Session, owner: str) -> list[ApiKey]:
    """Return the keys of *owner*, the newest first."""
    return list(session.scalars(select(ApiKey).where(ApiKey.owner == owner).order_by(ApiKey.id.desc())))


def select_live_api_key_ids(owner: str) -> Select[UUID]:
    """Return the query for the ids of the keys of *owner* that are neither expired nor revoked."""
    return _LIVING.with_only_columns(ApiKey.id).where(ApiKey.owner == owner)


def record_api_key_use(session: Session, row: ApiKey) -> None:
    """Record that a key was used, at most once a minute."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now_sql(session, -LAST_USED_PRECISION))
    session.execute(update(ApiKey).where(ApiKey.id == row.id, stale).values(last_used_at=now_sql(session)))


def list_api_keys(session: Session) -> list[ApiKey]:
    """Return every key, the oldest first."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.created_at)))


def revoke_api_key(session: Session, prefix: str, caller: audit.Caller | None = None) -> bool:
    """Revoke the key with this id (the eight characters after ``prk_``); return whether there was one.

    *caller* revokes it; None is the operator.
    """
    owner = session.scalar(
        update(ApiKey)
        .where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now_sql(session))
        .returning(ApiKey.owner)
    )
    if owner is None:
        return False
    audit.record_event(session, caller or Keyless(owner), Act.KEY_REVOKED, AuditObject(ObjectKind.KEY, prefix))
    return True


def digest_api_key(key: str) -> str:
    """Return what is kept of *key*."""
    return hashlib.sha256(key.encode()).hexdigest()
