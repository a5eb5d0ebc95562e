"""Finds text of customers outside the columns that are meant for it."""

import json
from collections.abc import Iterable

from sqlalchemy import select

from common.db.engine import Database
from common.db.types import Base
from common.storage.port import Storage
from common.tables import campaigns, quarantine, webhooks

assert campaigns
assert quarantine
assert webhooks  # the imports fill Base.metadata

MEANT_FOR_WORDS = {
    "jobs.request",
    "jobs.metadata",
    "webhook_messages.body",  # it repeats the metadata
    "styles.spec",
    "campaigns.name",
    "campaigns.body",
    "campaigns.spec",
    "campaigns.quote",
    "recipients.values",
    "rejected_rows.values",
}
"""The columns that hold what customers say, and are erased with it; all others must not."""


def find_misplaced_text(database: Database, storage: Storage, marker: str) -> list[str]:
    """Return every column, and every object's key, that contains *marker* and is not meant to."""
    places = [
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if f"{table.name}.{column.name}" not in MEANT_FOR_WORDS and _stands_in(database, column, marker)
    ]
    return places + [key for key in storage.list_keys("") if marker in key]


def _stands_in(database: Database, column: object, marker: str) -> bool:
    with database.reading() as session:
        values: Iterable[object] = session.scalars(select(column).where(column.is_not(None)))  # type: ignore[call-overload, attr-defined]  # a column of any table
        return any(marker in _spell(value) for value in values)


def _spell(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
