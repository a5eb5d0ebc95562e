"""What PostgreSQL and SQLite spell differently; no other package asks which of the two it talks to."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Select, Table, Text, func, literal, literal_column, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

InsertFunction = Callable[[Any], postgresql.Insert]
"""Builds an INSERT into a table that can say what to do on a conflict; SQLite's has the same methods."""


def choose_insert(session: Session) -> InsertFunction:
    """Return the function that builds inserts for the database of *session*."""
    if _is_sqlite(session):
        return cast("InsertFunction", sqlite.insert)
    return postgresql.insert


def lock_until_commit(session: Session, key: int | str) -> None:
    """Wait until no other transaction holds the lock called *key*, and hold it until this one ends.

    SQLite has one writer at a time anyway.
    """
    if not _is_sqlite(session):
        number = func.hashtextextended(key, 0) if isinstance(key, str) else key
        session.execute(select(func.pg_advisory_xact_lock(number)))


def filter_values(
    session: Session, query: Select[Any], column: ColumnElement[str], values: Sequence[str]
) -> Select[Any]:
    """Return *query* for the rows whose *column* has one of many *values*, by an index look-up for each."""
    if _is_sqlite(session):
        listed = func.json_each(json.dumps([*values])).table_valued("value")
        return query.where(column.in_(select(listed.c.value)))
    wanted = func.unnest(literal([*values], ARRAY(Text))).table_valued("value").render_derived(name="wanted")
    # Without statistics, which a table lacks while it is being filled, PostgreSQL would compare every row with every
    # value. OFFSET keeps it from turning this into a join.
    found = query.where(column == wanted.c.value).offset(literal_column("0")).lateral("found")
    return select(*found.c).select_from(wanted).join(found, true())


def bulk_insert(session: Session, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert many rows in the fastest way that the driver has.

    Values reach the driver as they are, without the conversions of column types; only UUIDs are converted.
    """
    connection = session.connection()
    quote = connection.dialect.identifier_preparer.quote
    target = f"{quote(table.name)} ({', '.join(map(quote, columns))})"
    if _is_sqlite(session):
        marks = ", ".join("?" * len(columns))
        encoded = [tuple(each.hex if isinstance(each, UUID) else each for each in row) for row in rows]
        connection.exec_driver_sql(f"INSERT INTO {target} VALUES ({marks})", encoded)  # noqa: S608
        return
    driver = cast("Any", connection.connection.driver_connection)
    with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"
