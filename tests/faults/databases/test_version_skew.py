"""Rows that a newer version has written, and tables of another: shown, left alone or refused; other work goes on."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from sqlalchemy import event, text

from common.db import schema
from common.db.engine import Database
from common.states.jobs import JobStatus
from common.tables import Job
from tests.support import factories
from tests.support.apis import open_api
from tests.support.press_fixture import PressFixture
from tests.support.servers.api_servers import ROOT
from tests.support.servers.processes import own_folder, running
from tests.support.waiting import until
from worker.press import runner


def _write(database: Database, job_id: UUID, **columns: Any) -> None:
    """Write into a job's row what this version would not."""
    with database.transaction() as session:
        factories.lift_guards(session)
        for name, value in columns.items():
            where = {"value": value, "id": job_id.hex if database.is_sqlite else str(job_id)}
            session.execute(text(f"UPDATE jobs SET {name} = :value WHERE id = :id"), where)


@pytest.fixture
def lenient(database: Database) -> Iterator[Database]:
    """The database, whose jobs may have any status for now."""
    if database.is_sqlite:
        event.listen(database.engine, "checkout", lambda connection, *_: _let_pass(connection))
        yield database
        return
    with database.transaction() as session:
        query = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'jobs'::regclass"
        ((name, rule),) = [row for row in session.execute(text(query)) if "queued" in row[1] and "running" in row[1]]
        session.execute(text(f'ALTER TABLE jobs DROP CONSTRAINT "{name}"'))
    yield database
    with database.transaction() as session:
        factories.lift_guards(session)
        session.execute(text("UPDATE jobs SET status = 'queued' WHERE status = 'paused'"))
        session.execute(text(f'ALTER TABLE jobs ADD CONSTRAINT "{name}" {rule}'))


def _let_pass(connection: Any) -> None:
    connection.execute("PRAGMA ignore_check_constraints = ON")


def test_94_a_job_in_a_state_that_only_a_newer_version_knows_is_shown_and_left_alone(
    lenient: Database, press_fixture: PressFixture, tmp_path: Path
) -> None:
    api = open_api(lenient, tmp_path / "home")
    strange, plain = UUID(api.make_job()["id"]), UUID(api.make_job()["id"])
    _write(lenient, strange, status="paused")
    shown = api.get(f"/v1/jobs/{strange}")
    assert (shown.status_code, shown.json["status"]) == (200, "unknown")
    listed = api.get("/v1/jobs")
    assert {job["id"]: job["status"] for job in listed.json["data"]} == {str(strange): "unknown", str(plain): "queued"}
    with press_fixture.press() as press:
        for _ in range(2):
            runner.run_next_job(press)
    assert factories.read(lenient, plain).status is JobStatus.SUCCEEDED
    assert press_fixture.attempts(strange) == []


def test_94_a_request_that_only_a_newer_version_knows_is_shown_and_left_to_it(
    database: Database, press_fixture: PressFixture, tmp_path: Path
) -> None:
    api = open_api(database, tmp_path / "home")
    strange, plain = UUID(api.make_job()["id"]), UUID(api.make_job()["id"])
    with database.reading() as session:
        request = session.get_one(Job, strange).request
    _write(database, strange, request=json.dumps(request | {"hologram": True}))
    assert api.get(f"/v1/jobs/{strange}").status_code == 200
    with press_fixture.press() as press:
        for _ in range(2):
            runner.run_next_job(press)
    assert factories.read(database, plain).status is JobStatus.SUCCEEDED, "it does not stand in the way"
    assert factories.read(database, strange).status is JobStatus.QUEUED
    assert press_fixture.attempts(strange) == []


def test_100_a_press_waits_at_tables_of_an_older_version_and_changes_none(sqlite_database: Database) -> None:
    with sqlite_database.engine.connect() as connection:
        config = schema._build_alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0005")
        connection.commit()
    older = schema.fetch_revision(sqlite_database)
    with own_folder() as folder:
        log = folder / "log"
        environ = {"PYTHONPATH": str(ROOT), "PRESSROOM_MODELS": "painted", "PRESSROOM_HOME": str(folder)}
        environ["PRESSROOM_DATABASE_URL"] = sqlite_database.url.render_as_string(hide_password=False)
        waits = lambda: "Run `pressroom migrate`" in log.read_text()  # noqa: E731
        with running([sys.executable, "-m", "worker.main"], folder, waits, environ=environ):
            assert schema.fetch_revision(sqlite_database) == older
            schema.upgrade_schema(sqlite_database)
            until(lambda: "press_ready" in log.read_text(), "the press to go on")


def test_100_a_press_works_on_tables_of_a_newer_version(sqlite_database: Database) -> None:
    with sqlite_database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    schema.check_schema_not_older(sqlite_database)
