"""What every test may ask for: both databases, a broker, S3, and a world without other networks or settings."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from common.db import schema
from common.db.engine import Database
from common.db.types import Base
from common.settings import PREFIX
from tests.support.scheduling import GroupScheduling
from tests.support.servers import services
from tests.support.servers.services import Bucket

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Keep the tests of a file in one process, and those that share a running stack."""
    return GroupScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Refuse every connection of this process but those to itself."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            raise RuntimeError(f"a test tried to reach {address[0]}")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_settings() -> Iterator[None]:
    """Hide the settings of the surrounding environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith((PREFIX, "AWS_")):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server's maintenance database."""
    with services.start_postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def _migrated_postgresql(postgresql_server: str) -> str:
    url = services.create_database(postgresql_server, "pressroom")
    migrate(url)
    return url


@pytest.fixture
def postgresql_url(_migrated_postgresql: str) -> str:
    """The URL of a migrated, empty PostgreSQL database."""
    empty(_migrated_postgresql)
    return _migrated_postgresql


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(_migrated_sqlite: Path, tmp_path: Path) -> str:
    """The URL of a migrated, empty SQLite database."""
    path = tmp_path / "pressroom.db"
    shutil.copy(_migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated, empty database: each test runs on SQLite and on PostgreSQL."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated, empty database: each test runs on SQLite and on PostgreSQL."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    """A migrated, empty SQLite database, for what does not depend on the kind."""
    opened = Database(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a Redis or Valkey server."""
    with services.start_redis() as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The URL of an empty Redis or Valkey server."""
    with services.redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture(scope="session")
def s3() -> Iterator[Bucket]:
    """A bucket on a real S3 server, shared by the session: use keys of your own."""
    with services.start_s3() as bucket:
        yield bucket


@pytest.fixture(scope="session")
def s3_tls() -> Iterator[Bucket]:
    """The same over TLS, by a certificate that only ``authority`` vouches for."""
    with services.start_s3(tls=True) as bucket:
        yield bucket


def migrate(url: str) -> None:
    """Bring a database to the newest schema."""
    database = Database(url)
    schema.upgrade_schema(database)
    database.close()


def empty(url: str) -> None:
    """Delete every row."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL session_replication_role = 'replica'")  # the triggers stand aside
        else:
            connection.exec_driver_sql("DROP TRIGGER IF EXISTS guard_audit_events_delete")
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
    engine.dispose()
