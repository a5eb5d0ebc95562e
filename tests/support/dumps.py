"""Everything that a database holds, as text: for looking whether something is in it that should not be."""

from typing import Any

from sqlalchemy import select

from common.db.engine import Database
from common.db.types import Base


def dump(database: Database) -> str:
    """Return every value of every row of every table, whatever its type."""
    with database.reading() as session:
        tables = {table.name: session.execute(select(table)).mappings().all() for table in Base.metadata.sorted_tables}
    return "\n".join(f"{name} {_spell(dict(row))}" for name, rows in tables.items() for row in rows)


def _spell(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{_spell(name)}={_spell(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_spell(item) for item in value)
    return bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else str(value)
