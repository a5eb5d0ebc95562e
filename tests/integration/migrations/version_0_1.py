"""The rows of a database of version 0.1, and Alembic at a revision of choice."""

from pathlib import Path
from typing import Any

from common.db import schema
from common.db.engine import Database

LAST_REVISION = "0009"
ROWS = Path(__file__).with_name("version_0_1.sql")


def run_alembic(database: Database, run: Any, revision: str) -> None:
    """Upgrade or downgrade to *revision*."""
    with database.engine.connect() as connection:
        config = schema._build_alembic_config()
        config.attributes["connection"] = connection
        run(config, revision)
        connection.commit()


def list_inserts() -> list[str]:
    """Return the statements that insert the rows."""
    return [line for line in ROWS.read_text().splitlines() if line.startswith("INSERT")]


def insert_rows(database: Database) -> None:
    """Insert the rows that version 0.1 wrote."""
    with database.engine.begin() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
        for line in list_inserts():
            connection.exec_driver_sql(line if database.is_sqlite else line.replace(" X'", r" '\x"))
