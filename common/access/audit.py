"""The audit trail: records who did what to which object, and searches, blanks and expires these records.

No other module writes the table. An event is written in the transaction of its act, so that neither exists alone.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete, null, or_, select, update
from sqlalchemy.orm import Session

from common.db import pages
from common.db.clock import fetch_now, now_sql
from common.db.ids import compute_first_id
from common.db.pages import FoundPage
from common.states.audit import Act, ObjectKind
from common.tables import ApiKey, AuditEvent


class Caller(Protocol):
    """Who acts: an owner, by an API key or else by the operator's command line or the clerk."""

    @property
    def owner(self) -> str:
        """Return the owner."""

    @property
    def key_id(self) -> UUID | None:
        """Return the id of the key's row; None without a key."""


@dataclass(frozen=True)
class Keyless:
    """A caller without an API key: the operator on the command line, or the clerk."""

    owner: str
    key_id: UUID | None = None


class AuditObject(NamedTuple):
    """The object of an act, by the id under which the API shows it."""

    kind: ObjectKind
    id: str | UUID


@dataclass(frozen=True)
class AuditFilter:
    """Which events are looked for; what is None narrows nothing."""

    owner: str | None = None
    act: str | None = None
    object_id: str | None = None
    key: str | None = None  # the eight characters after `prk_`
    since: datetime | None = None
    until: datetime | None = None


class AuditRecord(NamedTuple):
    """An event, and the id and name of its API key, if it had one."""

    event: AuditEvent
    key: str | None
    key_name: str | None


def record_event(
    session: Session,
    caller: Caller,
    act: Act,
    changed: AuditObject,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Record that *caller* does *act* to the object *changed*, in the transaction of the act.

    *before* and *after* are small; they never hold secrets, prompts or what names a recipient.
    """
    session.add(
        AuditEvent(
            at=now_sql(session),
            owner=caller.owner,
            key_id=caller.key_id,
            act=act,
            object_kind=changed.kind,
            object_id=str(changed.id),
            before=None if before is None else dict(before),
            after=None if after is None else dict(after),
        )
    )


def search_events(session: Session, wanted: AuditFilter, *, after: UUID | None, limit: int) -> FoundPage[AuditRecord]:
    """Return events, the newest first, beginning after the one with the id *after*."""
    read, rest = divide_filter(wanted)

    def choose(event: type[AuditEvent]) -> Select[AuditEvent, str | None, str | None]:
        query = select(event, ApiKey.prefix, ApiKey.name).outerjoin(ApiKey, ApiKey.id == event.key_id)
        return query.where(*_build_conditions(event, rest))

    found = pages.find_page(session, AuditEvent.id, read, choose, after=after, limit=limit)
    return FoundPage([AuditRecord(*row) for row in found.rows], found.next_after)


def divide_filter(wanted: AuditFilter) -> tuple[list[ColumnElement[bool]], AuditFilter]:
    """Return the conditions that one index holds, and what else is asked."""
    read = []
    if wanted.owner is not None:
        read.append(AuditEvent.owner == wanted.owner)
    if wanted.since is not None:
        read.append(AuditEvent.id >= compute_first_id(wanted.since))
    if wanted.until is not None:
        read.append(AuditEvent.id < compute_first_id(wanted.until))
    rest = replace(wanted, owner=None, since=None, until=None)
    for name in ("object_id", "key", *(["act"] if wanted.owner is not None else [])):
        if getattr(wanted, name) is not None:
            only = AuditFilter(**{name: getattr(wanted, name)})
            return [*read, *_build_conditions(AuditEvent, only)], replace(rest, **{name: None})
    return read, rest


def _build_conditions(event: type[AuditEvent], wanted: AuditFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.object_id is not None:
        yield event.object_id == wanted.object_id
    if wanted.key is not None:
        yield event.key_id == select(ApiKey.id).where(ApiKey.prefix == wanted.key).scalar_subquery()
    if wanted.act is not None:
        yield event.act == wanted.act


def blank_events(session: Session, object_ids: Collection[str | UUID]) -> None:
    """Erase what the events of erased objects say of them; that somebody acted, and when, remains."""
    if not object_ids:
        return
    filled = or_(AuditEvent.before.is_not(None), AuditEvent.after.is_not(None))
    session.flush()
    session.execute(
        update(AuditEvent)
        .where(AuditEvent.object_id.in_([*map(str, object_ids)]), filled)
        .values(before=null(), after=null())
        .execution_options(synchronize_session=False)
    )


def delete_old_events(session: Session, days: int, most: int) -> int:
    """Delete at most so many events that are older than *days*; return how many."""
    oldest = fetch_now(session) - timedelta(days=days)
    # Found by their ids, which are in order; the time is what the database's trigger goes by.
    is_old = and_(AuditEvent.id < compute_first_id(oldest), AuditEvent.at < oldest)
    old = select(AuditEvent.id).where(is_old).order_by(AuditEvent.id).limit(most)
    gone = delete(AuditEvent).where(AuditEvent.id.in_(old)).returning(AuditEvent.id)
    return len(session.scalars(gone.execution_options(synchronize_session=False)).all())
