"""What PostgreSQL itself refuses, however it is asked; SQLite has no such guards, and one machine to itself."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from common.db.engine import Database
from common.jobs import lifecycle
from common.jobs.attempts import Claim, ClaimProgress, Spent
from common.states.jobs import JOB_TRANSITIONS, JobStatus
from tests.support import factories


@pytest.fixture
def guarded(postgresql_url: str) -> Iterator[Database]:
    opened = Database(postgresql_url)
    yield opened
    opened.close()


@pytest.fixture
def printed(guarded: Database) -> Claim:
    """A job that has succeeded."""
    held = factories.running(guarded)
    with guarded.transaction() as session:
        lifecycle.succeed_job(session, held, factories.images(held), Spent(2.0))
    return held


def write(database: Database, statement: str, **values: Any) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(statement), values)


def test_the_database_allows_exactly_the_transitions_of_the_table(guarded: Database) -> None:
    job = factories.submit(guarded)
    for source in JobStatus:
        for target in JobStatus:
            factories.put(guarded, job.id, source)
            statement = "UPDATE jobs SET status = :status"
            if target is source or target in JOB_TRANSITIONS[source]:
                write(guarded, statement, status=target)
            else:
                with pytest.raises(DatabaseError, match=f"may not go from {source} to {target}"):
                    write(guarded, statement, status=target)


@pytest.mark.usefixtures("printed")
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE jobs SET attempt = attempt - 1", "may only grow"),
        ("UPDATE jobs SET finished_at = finished_at + interval '1 second'", "its end is final"),
        ("UPDATE jobs SET error_code = 'other'", "its end is final"),
        ("UPDATE attempts SET gpu_seconds = gpu_seconds - 1", "may only grow"),
        ("UPDATE attempts SET outcome = 'running'", "ended as succeeded"),
        ("UPDATE images SET amount = 0", "nothing else"),
        ("UPDATE images SET owner = 'grace'", "nothing else"),
        ("UPDATE images SET attempt = 2", "nothing else"),
    ],
)
def test_an_ended_job_cannot_be_changed(guarded: Database, statement: str, words: str) -> None:
    with pytest.raises(DatabaseError, match=words):
        write(guarded, statement)


def test_an_image_may_be_erased(guarded: Database, printed: Claim) -> None:
    write(guarded, "UPDATE images SET status = 'erased', storage_key = NULL WHERE job_id = :id", id=printed.job_id)


def test_only_images_of_the_attempt_that_ended_its_job_can_be_inserted(guarded: Database) -> None:
    held = factories.running(guarded)
    with pytest.raises(DatabaseError, match="not the result"), guarded.transaction() as session:
        session.add_all(factories.images(held))


def test_a_heartbeat_that_arrives_late_does_not_change_the_usage(database: Database) -> None:
    held = factories.running(database)
    with database.transaction() as session:
        lifecycle.succeed_job(session, held, factories.images(held), Spent(2.0))
    with database.transaction() as session:
        lifecycle.record_heartbeat(
            session, held.press_id, [ClaimProgress(held, 1, Spent(1.0))], factories.LEASE, {"busy_seconds": 2.0}
        )
    with database.reading() as session:
        assert session.execute(text("SELECT gpu_seconds FROM attempts")).scalar_one() == 2.0
