"""Fixtures of the migrations: databases without tables, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from common.db.engine import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables."""
    if request.param == "sqlite":
        opened = Database(f"sqlite:///{tmp_path}/bare.db")
    else:
        server = request.getfixturevalue("postgresql_server")
        engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("DROP DATABASE IF EXISTS bare")
            connection.exec_driver_sql("CREATE DATABASE bare")
        engine.dispose()
        opened = Database(sqlalchemy.make_url(server).set(database="bare").render_as_string(hide_password=False))
    yield opened
    opened.close()
