"""What statements read: on PostgreSQL the rows of a table that were looked at, on SQLite how the table was searched."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, text

from common.db.engine import Database

REMOVED = ("Rows Removed by Filter", "Rows Removed by Index Recheck")

Statement = tuple[str, Any]


@contextmanager
def recording(database: Database) -> Iterator[list[Statement]]:
    """Yield a list to which every statement that is executed in the block is added, with its parameters."""
    seen: list[Statement] = []

    def record(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, is_many: bool) -> None:
        if not is_many and statement.startswith(("SELECT", "UPDATE", "WITH")):
            seen.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", record)
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", record)


def analyze(database: Database) -> None:
    """Have PostgreSQL count its rows, as it does by itself in time; SQLite never does."""
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def count_rows_read(database: Database, statements: list[Statement], table: str, *, as_if_large: bool = False) -> int:
    """Return how many rows of *table*, or entries of its indexes, these statements read on PostgreSQL.

    They are executed once more, and undone. PostgreSQL reads all of a small table sooner than it follows an index, but
    not *as_if_large*.
    """
    with database.engine.connect() as connection:
        for way in ("seqscan", "hashjoin", "mergejoin", "bitmapscan") if as_if_large else ():
            connection.execute(text(f"SET LOCAL enable_{way} = off"))
        plans = [_explain(connection, each) for each in statements]
        connection.rollback()
    return sum(_count_rows(plan, table) for plan in plans)


def list_scans(database: Database, statements: list[Statement], table: str) -> list[str]:
    """Return the lines of SQLite's plans by which these statements read all of *table*, or sort what they found."""
    found = []
    with database.engine.connect() as connection:
        for statement, parameters in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found += [row[3] for row in plan if row[3].startswith(f"SCAN {table}")]
    return found


def _explain(connection: Connection, statement: Statement) -> dict[str, Any]:
    sql, parameters = statement
    found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters).scalar_one()
    plan: dict[str, Any] = found[0]["Plan"]
    return plan


def _count_rows(plan: dict[str, Any], table: str) -> int:
    read = 0
    if plan.get("Relation Name") == table and plan["Node Type"] != "ModifyTable":
        read = (plan["Actual Rows"] + sum(plan.get(name, 0) for name in REMOVED)) * plan["Actual Loops"]
    return int(read) + sum(_count_rows(part, table) for part in plan.get("Plans", ()))
