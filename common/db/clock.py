"""The database's clock and its days as SQL expressions."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    String,
    func,
    literal,
    select,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

from common.clock import utcnow
from common.db.types import UTCDateTime


class DatabaseClock(ColumnElement[datetime]):
    """The same as ``now_sql``, for cached statements; on SQLite exact to a millisecond."""

    _traverse_internals = [("plus", InternalTraversal.dp_plain_obj)]  # noqa: RUF012  (read by SQLAlchemy as it stands)
    inherit_cache = True
    type = UTCDateTime()

    def __init__(self, plus: timedelta = timedelta()) -> None:
        self.plus = plus


class StatementTime(DatabaseClock):
    """The time at which the statement began, by the database's clock, for the conditions of a statement.

    It is the same for all rows, so that an index can answer the condition; the clock itself is read again for each row,
    and so each row would have to be read. On SQLite it is up to a millisecond late, never early.
    """

    inherit_cache = True


@compiles(DatabaseClock)
def _compile_clock(clock: DatabaseClock, _compiler: SQLCompiler, **_options: Any) -> str:
    return _compile_time("clock_timestamp()", clock.plus)


@compiles(StatementTime)
def _compile_statement_time(time: StatementTime, _compiler: SQLCompiler, **_options: Any) -> str:
    return _compile_time("statement_timestamp()", time.plus)


@compiles(DatabaseClock, "sqlite")
def _compile_clock_sqlite(clock: DatabaseClock, _compiler: SQLCompiler, **_options: Any) -> str:
    return _compile_time_sqlite(clock.plus)


@compiles(StatementTime, "sqlite")
def _compile_statement_time_sqlite(time: StatementTime, _compiler: SQLCompiler, **_options: Any) -> str:
    # What was queued within this millisecond is due.
    return _compile_time_sqlite(time.plus + timedelta(milliseconds=1))


def _compile_time(time: str, plus: timedelta) -> str:
    return f"({time} + interval '{plus.total_seconds()} seconds')" if plus else time


def _compile_time_sqlite(plus: timedelta) -> str:
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '{plus.total_seconds():+} seconds')"


def now_sql(session: Session, plus: timedelta = timedelta()) -> ColumnElement[datetime]:
    """Return the database's own time as an SQL expression, so that no machine's clock can bend a lease.

    ``clock_timestamp()`` on PostgreSQL, where ``now()`` would be the start of the transaction; on SQLite, which has
    no server, the time of this machine. For values; conditions compare with ``StatementTime``.
    """
    if session.get_bind().dialect.name == "sqlite":
        return literal(utcnow() + plus, UTCDateTime)
    time = func.clock_timestamp(type_=DateTime(timezone=True))
    return type_coerce(time + plus if plus else time, UTCDateTime)


def current_hour_sql(session: Session) -> ColumnElement[datetime]:
    """Return the start of the current hour of UTC, by the database's clock, as an SQL expression."""
    if session.get_bind().dialect.name == "sqlite":
        return literal(utcnow().replace(minute=0, second=0, microsecond=0), UTCDateTime)
    return type_coerce(func.date_trunc("hour", func.clock_timestamp(), "UTC"), UTCDateTime)


def day_sql(session: Session, time: ColumnElement[datetime] | InstrumentedAttribute[datetime]) -> ColumnElement[str]:
    """Return the day of UTC on which a time is, ``YYYY-MM-DD``, as an SQL expression."""
    if session.get_bind().dialect.name == "sqlite":
        return func.date(time, type_=String)
    return func.to_char(func.timezone("UTC", time), "YYYY-MM-DD", type_=String)


def fetch_now(session: Session) -> datetime:
    """Return the database's own time."""
    return session.scalars(select(now_sql(session))).one()
