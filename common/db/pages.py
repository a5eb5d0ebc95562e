"""Pages of long lists whose filters no index holds: each page reads a bounded number of rows, however few match."""

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select
from sqlalchemy.orm import InstrumentedAttribute, Session

T = TypeVar("T")

READ_THROUGH = 5000
"""Rows that one page reads at most; the next page reads on."""


class FoundPage(NamedTuple, Generic[T]):
    """The rows of a page, and the id after which the next page begins; None on the last page."""

    rows: Sequence[T]
    next_after: UUID | None


def find_page(
    session: Session,
    query: Select[*tuple[Any, ...]],
    row_id: InstrumentedAttribute[UUID],
    read: Select[UUID],
    matches: Sequence[ColumnElement[bool]],
    *,
    after: UUID | None,
    limit: int,
) -> FoundPage[Any]:
    """Return the newest rows of *query* that satisfy *matches*, beginning after the row with the id *after*.

    *read* selects the ids, *row_id*, of the rows that are looked at, by what an index holds: their owner and a time,
    for instance. A page has fewer than *limit* rows, even none, if not enough of the rows that it read match.
    """
    if after is not None:
        read = read.where(row_id < after)
    read = read.order_by(row_id.desc())
    if not matches:
        ids = list(session.scalars(read.limit(limit + 1)))
        rows = session.execute(query.where(row_id.in_(ids[:limit])).order_by(row_id.desc())).all()
        return FoundPage(rows, ids[limit - 1] if len(ids) > limit else None)
    some = read.limit(READ_THROUGH).subquery()
    found = query.add_columns(row_id.label("row_id")).join(some, some.c[row_id.key] == row_id).where(*matches)
    rows = session.execute(found.order_by(row_id.desc()).limit(limit + 1)).all()
    if len(rows) > limit:
        return FoundPage([row[:-1] for row in rows[:limit]], rows[limit - 1].row_id)
    return FoundPage([row[:-1] for row in rows], session.scalar(read.offset(READ_THROUGH - 1).limit(1)))
