"""The database's own time as a piece of SQL that stands in statements which are built once and for all."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

from common.database import UTCDateTime


class Clock(ColumnElement[datetime]):
    """The same as ``common.database.now``; on SQLite to a millisecond."""

    _traverse_internals = [("plus", InternalTraversal.dp_plain_obj)]  # noqa: RUF012  (read by SQLAlchemy as it stands)
    inherit_cache = True
    type = UTCDateTime()

    def __init__(self, plus: timedelta = timedelta()) -> None:
        self.plus = plus


@compiles(Clock)
def _spell_clock(clock: Clock, _compiler: SQLCompiler, **_options: Any) -> str:
    seconds = clock.plus.total_seconds()
    return f"(clock_timestamp() + interval '{seconds} seconds')" if seconds else "clock_timestamp()"


@compiles(Clock, "sqlite")
def _spell_clock_of_sqlite(clock: Clock, _compiler: SQLCompiler, **_options: Any) -> str:
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '{clock.plus.total_seconds():+} seconds')"
