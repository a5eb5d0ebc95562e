"""Database features of the api: durable commits, short reads, and a clock within statements."""

from datetime import UTC, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from common.db.clock import DatabaseClock, now_sql
from common.db.engine import Database
from common.tables import Job
from tests.support import factories

LEVELS = ("OFF", "NORMAL", "FULL", "EXTRA")
"""Of SQLite's ``synchronous``, by their numbers."""


@pytest.mark.parametrize(("is_durable", "level"), [(True, "FULL"), (False, "NORMAL")])
def test_on_sqlite_only_durable_databases_sync_each_commit(tmp_path: Path, *, is_durable: bool, level: str) -> None:
    database = Database(f"sqlite:///{tmp_path / 'durable.db'}", is_durable=is_durable)
    with database.transaction() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA synchronous")).scalar() == LEVELS.index(level)
    database.close()


@pytest.mark.parametrize("hours", [0, -24])
def test_the_clock_within_statements_agrees_with_the_database(database: Database, hours: int) -> None:
    with database.reading() as session:
        told = session.scalar(select(DatabaseClock(timedelta(hours=hours))))
        expected = session.scalar(select(now_sql(session, timedelta(hours=hours))))
    assert told is not None
    assert expected is not None
    assert told.tzinfo is UTC
    assert abs(told - expected) < timedelta(seconds=5)


def test_a_short_read_sees_committed_rows(database: Database) -> None:
    job = factories.submit(database)
    with database.glancing() as session:
        assert session.scalar(select(Job.model).where(Job.id == job.id)) == factories.MODEL
