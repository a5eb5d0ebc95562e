"""Pages of long lists whose filters no index holds: each page reads a bounded number of rows, however few match."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, cast
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from common.db.types import Base

T = TypeVar("T")

READ_THROUGH = 2000
"""Rows that one page reads at most; the next page reads on."""


class FoundPage(NamedTuple, Generic[T]):
    """The rows of a page, and the id after which the next page begins; None on the last page."""

    rows: Sequence[T]
    next_after: UUID | None


R = TypeVar("R", bound=Base)


def find_page(
    session: Session,
    row_id: InstrumentedAttribute[UUID],
    read: Sequence[Any],
    choose: Callable[[type[R]], Select[*tuple[Any, ...]]],
    *,
    after: UUID | None,
    limit: int,
) -> FoundPage[Any]:
    """Return the newest rows, of what *choose* makes of those that are read, beginning after the one with id *after*.

    *row_id* is the id of a table, in the order of time, and *read* are conditions that one index holds, such as the
    owner and a time. *choose* is called with the rows that satisfy them, as a table, and returns a query of these, in
    its first column, that narrows them further. A page has fewer than *limit* rows, even none, if not enough of the
    rows that it read are chosen.
    """
    table = cast("type[R]", row_id.class_)
    ids = select(row_id).where(*read).order_by(row_id.desc())
    if after is not None:
        ids = ids.where(row_id < after)
    some = aliased(table, ids.with_only_columns(table).limit(READ_THROUGH).subquery())
    rows = session.execute(choose(some).order_by(getattr(some, row_id.key).desc()).limit(limit + 1)).all()
    if len(rows) > limit:
        return FoundPage(rows[:limit], getattr(rows[limit - 1][0], row_id.key))
    return FoundPage(rows, session.scalar(ids.offset(READ_THROUGH - 1).limit(1)))
