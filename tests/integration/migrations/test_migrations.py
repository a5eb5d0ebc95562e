"""Migrations, run for real on both databases: up, down, up again, and the result is what the models say."""

import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from common.db import schema
from common.db.engine import Database
from common.db.types import Base
from tests.support import factories


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


def test_upgrading_an_up_to_date_schema_keeps_every_row(database: Database) -> None:
    job = factories.submit(database)
    schema.upgrade_schema(database)
    assert factories.read(database, job.id).id == job.id
