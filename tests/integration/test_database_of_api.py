"""What the api asks of the database besides: commits that are on the disk, one glance, a clock for fixed statements."""

import os
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from common.database import Database, now
from common.database_clock import Clock
from common.models import Job
from tests import factories


def test_on_sqlite_what_the_api_commits_is_synced_before_anybody_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'durable.db'}", is_durable=True)
    synced: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    with database.transaction() as session:
        session.execute(text("CREATE TABLE promises (number INTEGER)"))
        assert synced == []
    assert synced[0] == "durable.db-wal"
    with database.reading() as session:
        # The log by itself; checkpoints sync it and the file, which is NORMAL's part of the bargain.
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA synchronous")).scalar() == 1
    database.close()


@pytest.mark.parametrize("hours", [0, -24])
def test_the_clock_of_statements_is_that_of_now(database: Database, hours: int) -> None:
    with database.reading() as session:
        told = session.scalar(select(Clock(timedelta(hours=hours))))
        expected = session.scalar(select(now(session, timedelta(hours=hours))))
    assert told is not None
    assert expected is not None
    assert told.tzinfo is UTC
    assert abs(told - expected) < timedelta(seconds=5)


def test_a_glance_sees_what_was_committed(database: Database) -> None:
    job = factories.submit(database)
    with database.glancing() as session:
        assert session.scalar(select(Job.model).where(Job.id == job.id)) == factories.MODEL
