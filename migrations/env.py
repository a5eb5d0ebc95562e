"""Alembic's entry: runs migrations on the connection or the URL it is handed by ``common.db.schema``."""

from alembic import context
from sqlalchemy import Connection, create_engine

from common.db.types import Base
from common.images import similarity
from common.settings import Settings
from common.tables import campaigns, jobs, quarantine, webhooks

assert jobs and similarity  # the imports fill Base.metadata  # noqa: S101, PT018
assert campaigns and quarantine and webhooks  # likewise  # noqa: S101, PT018


def run(connection: Connection) -> None:
    """Upgrade or compare on *connection*."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = create_engine(Settings.from_environ().sqlalchemy_url)
    with engine.connect() as own:
        run(own)
    engine.dispose()
