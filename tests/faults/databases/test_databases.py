"""Databases that end what they were asked to begin, and wrong clocks: no row stays locked, no lease is bent."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, text

from common import clock
from common.db import engine
from common.db.clock import now_sql
from common.db.engine import Database
from common.errors import DatabaseUnavailableError
from common.jobs import lifecycle
from common.states.jobs import JobStatus, Outcome
from common.tables import Job
from tests.support import factories
from tests.support.apis import open_api
from tests.support.press_fixture import PressFixture, open_press_fixture
from tests.support.waiting import until
from worker.press import runner
from worker.press.press import Press


@pytest.fixture
def postgresql(postgresql_url: str) -> Iterator[Database]:
    opened = Database(postgresql_url)
    yield opened
    opened.close()


def test_f10_a_process_stopped_inside_a_transaction_soon_loses_its_row_locks(postgresql: Database) -> None:
    held = factories.running(postgresql)
    with pytest.raises(DatabaseUnavailableError, match="idle"), postgresql.transaction() as stopped:  # noqa: PT012
        stopped.execute(text("SET LOCAL idle_in_transaction_session_timeout = '100ms'"))
        stopped.execute(select(Job.id).with_for_update())
        with postgresql.transaction() as other:
            lifecycle.cancel_job(other, other.get_one(Job, held.job_id))  # waits for the row, and gets it
        stopped.execute(select(Job.id))
    assert factories.read(postgresql, held.job_id).status is JobStatus.CANCELED


def test_f10_idle_transactions_are_ended(postgresql: Database) -> None:
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
def test_f43_a_wrong_clock_of_a_machine_changes_no_lease(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    right = clock.utcnow
    for module in (clock, engine):
        monkeypatch.setattr(module, "utcnow", lambda: right() + timedelta(hours=hours))
    held = factories.running(postgresql)
    with postgresql.transaction() as session:
        left = session.scalar(select(Job.lease_until - now_sql(session)).where(Job.id == held.job_id))
        assert left is not None
        assert timedelta() < left <= factories.LEASE
        assert lifecycle.requeue_lost_jobs(session, factories.MAX_STRIKES) == (0, 0)
        assert lifecycle.expire_due_jobs(session) == 0


INJECTED = (
    "CREATE SEQUENCE injected",
    """CREATE FUNCTION inject() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('injected') <= {times} THEN RAISE EXCEPTION 'injected' USING ERRCODE = '{code}'; END IF;
        RETURN NEW; END $$""",
    "CREATE TRIGGER injects BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION inject()",
)
WITHDRAWN = ("DROP FUNCTION IF EXISTS inject CASCADE", "DROP SEQUENCE IF EXISTS injected")
CODES = {"serialization failure": "40001", "deadlock": "40P01", "lock timeout": "55P03", "full disk": "53100"}
TIMES = 5


@pytest.fixture
def inject(postgresql: Database) -> Iterator[Callable[[str, str], None]]:
    """Have the next writes to a table fail with a code of PostgreSQL's; what they count is not rolled back."""

    def run(statements: Sequence[str], **about: object) -> None:
        with postgresql.transaction() as session:
            for statement in statements:
                session.execute(text(statement.format(**about)))

    yield lambda table, code: run(INJECTED, times=TIMES, code=code, table=table)
    run(WITHDRAWN)


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_f31_a_press_whose_transactions_are_refused_tries_again_and_publishes_once(
    postgresql: Database, tmp_path: Path, inject: Callable[[str, str], None], code: str
) -> None:
    press_fixture = open_press_fixture(postgresql, tmp_path)
    ordered = [factories.submit(postgresql) for _ in range(2)]
    with press_fixture.press() as press:
        inject("attempts", code)
        until(lambda: _hear_all(press, press_fixture, [job.id for job in ordered]), "both to be printed")
    for job in ordered:
        assert [attempt.outcome for attempt in press_fixture.attempts(job.id)] == [Outcome.SUCCEEDED]
    press_fixture.check()


def _hear_all(press: Press, press_fixture: PressFixture, job_ids: list[UUID]) -> bool:
    with suppress(DatabaseUnavailableError):
        runner.run_next_job(press)
    return all(factories.read(press_fixture.database, job_id).status is JobStatus.SUCCEEDED for job_id in job_ids)


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_f31_a_submission_whose_transaction_is_refused_gets_503_and_is_accepted_once(
    postgresql: Database, tmp_path: Path, inject: Callable[[str, str], None], code: str
) -> None:
    api = open_api(postgresql, tmp_path)
    inject("jobs", code)
    headers = {"Idempotency-Key": "f31"}
    answers = [api.post("/v1/jobs", json={"prompt": "a lighthouse"}, headers=headers) for _ in range(TIMES + 1)]
    assert [answer.status_code for answer in answers] == [503] * TIMES + [202]
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers[:-1])
    assert api.count_jobs() == 1
