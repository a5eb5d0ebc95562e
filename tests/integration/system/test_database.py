"""The database, on both kinds: transactions, times, money and what the tables themselves refuse."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError, StatementError

from common.clock import utcnow
from common.db import schema
from common.db.clock import now_sql
from common.db.engine import POSTGRESQL_LIMITS, Database, Pool
from common.errors import DatabaseUnavailableError, SettingsError
from common.states.jobs import ImageStatus, Verdict
from common.tables import Image, Job
from tests.support import factories


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    job = factories.submit(database)
    with pytest.raises(ZeroDivisionError), database.transaction() as session:
        _ = session.execute(update(Job).values(model="another")).rowcount / 0
    assert factories.read(database, job.id).model == factories.MODEL


def test_behind_a_pooler_limits_hold_for_each_transaction_and_nothing_is_prepared(postgresql_url: str) -> None:
    database = Database(postgresql_url, pool=Pool(size=1, overflow=0, is_shared=True))
    for opened in (database.transaction, database.reading, database.glancing):
        with opened() as session:
            limits = {name: session.scalar(text(f"SHOW {name}")) for name in POSTGRESQL_LIMITS}
            driver = session.connection().connection.driver_connection
            assert getattr(driver, "prepare_threshold", 0) is None
        assert limits == {
            "lock_timeout": "10s",
            "statement_timeout": "1min",
            "idle_in_transaction_session_timeout": "15s",
            "jit": "off",
        }
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == "0", "the session itself has none"
    database.close()


def test_migrations_refuse_a_pooler(postgresql_url: str) -> None:
    database = Database(postgresql_url, pool=Pool(is_shared=True))
    schema.upgrade_schema(database)  # nothing to do
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0014'"))
    try:
        with pytest.raises(SettingsError, match="PRESSROOM_DATABASE_POOLER"):
            schema.upgrade_schema(database)
    finally:
        with database.transaction() as session:
            newest = schema.load_newest_revision()
            session.execute(text("UPDATE alembic_version SET version_num = :newest"), {"newest": newest})
        database.close()


def test_a_reading_session_saves_nothing(database: Database) -> None:
    job = factories.submit(database)
    with database.reading() as session:
        session.get_one(Job, job.id).model = "another"
        session.flush()
    assert factories.read(database, job.id).model == factories.MODEL


def test_the_database_tells_the_time_aware_and_in_utc(database: Database) -> None:
    with database.reading() as session:
        current = session.scalar(select(now_sql(session)))
        ahead = session.scalar(select(now_sql(session, timedelta(seconds=90))))
    assert current is not None
    assert ahead is not None
    assert current.tzinfo is UTC
    assert abs(current - utcnow()) < timedelta(seconds=5)
    assert timedelta(seconds=80) < ahead - current < timedelta(seconds=100)


def test_times_come_back_as_the_same_moment(database: Database) -> None:
    job = factories.submit(database)
    moment = datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    with database.transaction() as session:
        session.execute(update(Job).values(deadline_at=moment))
    read = factories.read(database, job.id).deadline_at
    assert read == moment
    assert read is not None
    assert read.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    factories.submit(database)
    with pytest.raises(StatementError, match="naive datetime"), database.transaction() as session:
        session.execute(update(Job).values(deadline_at=datetime(2026, 1, 1)))  # noqa: DTZ001  (what is tested)


def test_money_adds_up_exactly(database: Database) -> None:
    held = factories.running(database, request={"num_images": 10})
    with database.transaction() as session:
        factories.lift_guards(session)
        rows = factories.images(held)
        for row in rows:
            row.amount = Decimal("0.100000001")
        session.add_all(rows)
    with database.reading() as session:
        assert sum(session.scalars(select(Image.amount))) == Decimal("1.000000010")


@pytest.mark.parametrize(
    "fault",
    [
        {"verdict": Verdict.BLOCK},
        {"storage_key": None},
        {"status": ImageStatus.BLURRED, "storage_key": None},
        {"position": 1},
    ],
    ids=["delivered-though-blocked", "delivered-without-object", "blurred-without-object", "position-taken"],
)
def test_the_tables_refuse_an_invalid_image(database: Database, fault: dict[str, object]) -> None:
    held = factories.running(database, request={"num_images": 2})
    first, second = factories.images(held)
    for column, value in fault.items():
        setattr(first, column, value)
    with database.transaction() as session:
        factories.lift_guards(session)
        session.add_all([first, second])
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()


def test_a_database_that_is_not_there_is_unavailable(tmp_path: object) -> None:
    for url in ("postgresql+psycopg://nobody@127.0.0.1:9/none", f"sqlite:///{tmp_path}/none/pressroom.db"):
        absent = Database(url)
        with pytest.raises(DatabaseUnavailableError), absent.transaction() as session:
            session.scalar(select(1))
        with pytest.raises(DatabaseUnavailableError), absent.reading() as session:
            session.scalar(select(1))
        absent.close()


def test_a_connection_that_is_given_back_after_the_end_is_closed(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    with database.reading() as session:
        connection = session.connection().connection.dbapi_connection
        database.close()
    assert connection is not None
    assert connection.closed
