"""Migrations beside processes that work with a PostgreSQL database: nobody is blocked for long, and all get through."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy
from alembic import command
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import text
from structlog.testing import capture_logs

from common.db import schema
from common.db.engine import Database
from common.errors import DatabaseBusyError
from migrations import indexes
from tests.integration.migrations.version_0_1 import LAST_REVISION, insert_rows, run_alembic
from tests.support import factories
from tests.support.waiting import until

WRITTEN = ("jobs", "campaigns", "presses", "api_keys")
"""Tables that running processes write, each transaction in an order of its own."""


@pytest.fixture
def version_0_1(postgresql_server: str) -> Iterator[Database]:
    """A database of version 0.1 on PostgreSQL."""
    server = sqlalchemy.create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS busy")
        connection.exec_driver_sql("CREATE DATABASE busy")
    server.dispose()
    url = sqlalchemy.make_url(postgresql_server).set(database="busy").render_as_string(hide_password=False)
    database = Database(url)
    run_alembic(database, command.upgrade, LAST_REVISION)
    insert_rows(database)
    yield database
    database.close()


@contextmanager
def working(database: Database) -> Iterator[list[int]]:
    """Have four processes write all the time; yield a count of their transactions."""
    stop, done = threading.Event(), [0]

    def work(number: int) -> None:
        order = WRITTEN[number:] + WRITTEN[:number]
        while not stop.is_set():
            try:
                with database.transaction() as session:
                    for table in order:  # the locks of an UPDATE, without those on rows, which the workers would share
                        session.execute(text(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE"))
            except DatabaseBusyError:
                continue  # a deadlock with the migration: tried again, as all processes do
            done[0] += 1

    with ThreadPoolExecutor() as threads:
        workers = [threads.submit(work, number) for number in range(len(WRITTEN))]
        try:
            yield done
        finally:
            stop.set()
            for worker in workers:
                worker.result(timeout=30)


@pytest.mark.timeout(300)  # each index waits several times for workers that wait for each other
def test_a_database_of_version_0_1_is_migrated_while_processes_write_to_it(version_0_1: Database) -> None:
    with working(version_0_1) as done:
        until(lambda: done[0] > 10, "the work to begin")
        schema.upgrade_schema(version_0_1)
        until(lambda begun=done[0]: done[0] > begun + 10, "the work to go on")
    assert schema.fetch_revision(version_0_1) == schema.load_newest_revision()


def test_a_migration_waits_for_a_long_transaction_and_is_tried_again(version_0_1: Database) -> None:
    with capture_logs() as logged, ThreadPoolExecutor() as threads:
        with version_0_1.transaction() as session:
            session.execute(text("UPDATE campaigns SET name = name"))
            migrating = threads.submit(schema.upgrade_schema, version_0_1)
            until(lambda: [line for line in logged if line["event"] == "migration_waits"], "the migration to wait")
        migrating.result(timeout=30)
    assert schema.fetch_revision(version_0_1) == schema.load_newest_revision()


MANY_RECIPIENTS = """
    INSERT INTO recipients (id, campaign_id, list_number, row, recipient_id, key, values, arm)
    SELECT lpad(place::text, 32, '0')::uuid, campaign_id, number, 100 + place, id, lower(id), '{}', 'main'
    FROM (
        SELECT place, CASE place WHEN 1 THEN 'Ann@Example.org' ELSE 'Cust' || place END AS id
        FROM generate_series(1, 2500) AS place
    ) AS given,
    (SELECT campaign_id, number FROM recipient_lists LIMIT 1) AS lists
"""


def test_ids_of_many_recipients_are_compared_anew_while_others_work(version_0_1: Database) -> None:
    run_alembic(version_0_1, command.upgrade, "0016")
    with version_0_1.transaction() as session:
        session.execute(text(MANY_RECIPIENTS))
    rewritten = "SELECT count(*) FROM recipients WHERE key LIKE 'Cust%' AND key = recipient_id"
    with ThreadPoolExecutor() as threads:
        with version_0_1.transaction() as session:
            session.execute(text("SELECT id FROM recipients WHERE recipient_id = 'Cust2500' FOR UPDATE"))
            migrating = threads.submit(schema.upgrade_schema, version_0_1)
            until(lambda: _count(version_0_1, rewritten) > 1000, "the first keys to be there")
            assert _count(version_0_1, "SELECT count(*) FROM images"), "nobody waits for the others"
            assert not migrating.done()
        migrating.result(timeout=60)
    assert _count(version_0_1, rewritten) == 2499
    assert _count(version_0_1, "SELECT count(*) FROM recipients WHERE key = 'ann@example.org'") == 1


def test_an_index_is_created_while_others_write(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    with ThreadPoolExecutor() as threads:
        with database.transaction() as session:
            session.execute(text("UPDATE jobs SET owner = owner"))  # which the index waits for
            creating = threads.submit(_create_index, database)
            until(lambda: _count_waiting(database), "the index to wait")
            factories.submit(database)
            assert not creating.done()
        creating.result(timeout=30)
    try:
        assert "ix_jobs_test" in {index["name"] for index in sqlalchemy.inspect(database.engine).get_indexes("jobs")}
    finally:
        with database.transaction() as session:
            session.execute(text("DROP INDEX ix_jobs_test"))
        database.close()


def _create_index(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
        with Operations.context(context), context.begin_transaction(_per_migration=True):
            indexes.create_index("ix_jobs_test", "jobs", ["owner", "model"])


def _count_waiting(database: Database) -> int:
    return _count(
        database,
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND wait_event_type = 'Lock'",
    )


def _count(database: Database, query: str) -> int:
    with database.reading() as session:
        return session.scalars(text(query)).one()
