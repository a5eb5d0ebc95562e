"""Databases that end what they were asked to begin, and wrong clocks: no row stays locked, no lease is bent."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from common import clock, database as databases, jobs
from common.database import Database, now
from common.errors import DatabaseUnavailableError
from common.models import Job
from common.states import JobStatus
from tests import factories


@pytest.fixture
def postgresql(postgresql_url: str) -> Iterator[Database]:
    opened = Database(postgresql_url)
    yield opened
    opened.close()


def test_f10_whoever_is_stopped_inside_a_transaction_soon_holds_no_row(postgresql: Database) -> None:
    held = factories.running(postgresql)
    with pytest.raises(DatabaseUnavailableError, match="idle"), postgresql.transaction() as stopped:  # noqa: PT012
        stopped.execute(text("SET LOCAL idle_in_transaction_session_timeout = '100ms'"))
        stopped.execute(select(Job.id).with_for_update())
        with postgresql.transaction() as other:
            jobs.cancel(other, other.get_one(Job, held.job_id))  # waits for the row, and gets it
        stopped.execute(select(Job.id))
    assert factories.read(postgresql, held.job_id).status is JobStatus.CANCELED


def test_f10_no_transaction_may_be_idle_for_long(postgresql: Database) -> None:
    with postgresql.reading() as session:
        assert session.scalar(text("SHOW idle_in_transaction_session_timeout")) == "15s"


def test_f32_connections_that_the_server_has_ended_are_replaced(postgresql: Database) -> None:
    job = factories.submit(postgresql)
    admin = Database(postgresql.url.render_as_string(hide_password=False))
    with admin.reading() as session:
        ended = session.scalars(
            text("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        ).all()
    admin.close()
    assert ended
    assert factories.read(postgresql, job.id).status is JobStatus.QUEUED


@pytest.mark.parametrize("hours", [-1, 1])
def test_f43_a_wrong_clock_of_a_machine_bends_no_lease(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    right = clock.utcnow
    for module in (clock, databases):
        monkeypatch.setattr(module, "utcnow", lambda: right() + timedelta(hours=hours))
    held = factories.running(postgresql)
    with postgresql.transaction() as session:
        left = session.scalar(select(Job.lease_until - now(session)).where(Job.id == held.job_id))
        assert left is not None
        assert timedelta() < left <= factories.LEASE
        assert jobs.return_lost(session, factories.MAX_STRIKES) == (0, 0)
        assert jobs.expire_due(session) == 0
