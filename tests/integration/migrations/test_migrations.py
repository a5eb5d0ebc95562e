"""Migrations, run for real on both databases: up, down, up again, and the result is what the models say."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from structlog.testing import capture_logs

from common.db import schema
from common.db.engine import Database, Pool
from common.db.types import Base
from common.errors import SchemaError
from tests.support import factories
from tests.support.waiting import until


def _differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, Base.metadata)


def test_the_migrated_tables_are_those_of_the_models(database: Database) -> None:
    assert _differences(database) == []


def test_migrations_go_up_and_down_and_up_again(bare: Database) -> None:
    assert schema.fetch_revision(bare) is None
    schema.upgrade_schema(bare)
    assert schema.fetch_revision(bare) == schema.load_newest_revision()
    with bare.engine.connect() as connection:
        config = schema._build_alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()
    assert sqlalchemy.inspect(bare.engine).get_table_names() == ["alembic_version"]
    schema.upgrade_schema(bare)
    assert _differences(bare) == []


def test_a_process_waits_until_its_tables_are_there(bare: Database) -> None:
    with capture_logs() as logged, ThreadPoolExecutor() as pool:
        waiting = pool.submit(schema.await_schema, bare, threading.Event())
        until(lambda: logged, "the process to say why it waits")
        assert not waiting.done()
        schema.upgrade_schema(bare)
        waiting.result(timeout=30)
    assert {(line["event"], line["code"]) for line in logged} == {("waiting_for_database", "database_unavailable")}
    assert "pressroom migrate" in logged[0]["reason"]


def test_a_query_without_tables_asks_for_a_migration(bare: Database) -> None:
    schema.fetch_revision(bare)
    with pytest.raises(SchemaError, match="pressroom migrate"), bare.reading() as session:
        session.execute(text("SELECT id FROM jobs"))


def test_several_processes_may_migrate_at_once(bare: Database) -> None:
    others = [Database(bare.url.render_as_string(hide_password=False)) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(schema.upgrade_schema, database) for database in others]:
            done.result(timeout=60)
    for database in others:
        database.close()
    assert schema.fetch_revision(bare) == schema.load_newest_revision()


@pytest.mark.parametrize("is_shared", [False, True], ids=["direct", "pooled"])
def test_tables_of_a_newer_version_are_left_as_they_are(database: Database, *, is_shared: bool) -> None:
    newest = schema.fetch_revision(database)
    _write_revision(database, "9999")
    reached = Database(database.url.render_as_string(hide_password=False), pool=Pool(is_shared=is_shared))
    try:
        schema.upgrade_schema(reached)
        assert schema.fetch_revision(database) == "9999"
        schema.check_schema_not_older(database)
    finally:
        reached.close()
        _write_revision(database, str(newest))


def _write_revision(database: Database, revision: str) -> None:
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def test_upgrading_an_up_to_date_schema_keeps_every_row(database: Database) -> None:
    job = factories.submit(database)
    schema.upgrade_schema(database)
    assert factories.read(database, job.id).id == job.id
