"""Migrates the database schema, and checks that it is recent enough."""

import threading
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from common.db import migration_lock
from common.db.engine import Database
from common.errors import DatabaseUnavailableError, SchemaError, SettingsError
from common.logs import get_logger
from common.settings import PREFIX

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"

RETRY_SECONDS = 2.0
"""How often a process that waits for its tables looks for them."""

log = get_logger(__name__)


def upgrade_schema(database: Database) -> None:
    """Run every migration that *database* has not seen; tables of a newer version are left as they are.

    Other processes may run meanwhile, and two may migrate at the same moment. Raises DatabaseUnavailableError, or
    DatabaseBusyError when others have held the tables for too long; what was migrated until then stays.
    """
    if database.is_sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    revision = fetch_revision(database)
    if revision == _list_revisions()[0]:
        return
    if revision is not None and revision not in _list_revisions():
        log.warning("schema_newer", revision=revision, expected=load_newest_revision())
        return
    if database.is_pooled:
        raise SettingsError(
            f"Migrations need sessions of their own: for `pressroom migrate`, set {PREFIX}DATABASE_URL to the address "
            f"of PostgreSQL itself and {PREFIX}DATABASE_POOLER to none."
        )
    with migration_lock.migrating_connection(database) as connection:
        config = _build_alembic_config()
        config.attributes["connection"] = connection
        migration_lock.retry_while_locked(connection, lambda: command.upgrade(config, "head"))
        connection.commit()


def fetch_revision(database: Database) -> str | None:
    """Return the revision that *database* is at; None for one without tables."""
    with database.reading() as session:
        return MigrationContext.configure(session.connection()).get_current_revision()


def load_newest_revision() -> str | None:
    """Return the revision that this code expects."""
    return ScriptDirectory.from_config(_build_alembic_config()).get_current_head()


def check_schema_not_older(database: Database) -> None:
    """Raise DatabaseUnavailableError, a plain sentence, unless *database* answers.

    Raises SchemaError unless it has today's tables or later ones.
    """
    revision = _fetch_existing_revision(database)
    revisions = _list_revisions()
    if revision is None or (revision in revisions and revision != revisions[0]):
        found = f"at revision {revision}" if revision else "empty"
        raise SchemaError(f"The database is {found}; this version needs {revisions[0]}. Run `pressroom migrate`.")


def await_schema(database: Database, stop: threading.Event) -> None:
    """Return once *database* answers and has today's tables or later ones, or *stop* is set; log why it waits."""
    told = None
    while not stop.is_set():
        try:
            check_schema_not_older(database)
        except DatabaseUnavailableError as error:
            if error.message != told:
                log.warning("waiting_for_database", code=error.code, reason=error.message)
                told = error.message
            stop.wait(RETRY_SECONDS)
        else:
            return


def _fetch_existing_revision(database: Database) -> str | None:
    """Return the present revision of *database*; raise DatabaseUnavailableError if it cannot be read."""
    if database.is_sqlite and not Path(database.url.database or "").exists():
        raise SchemaError(f"The database {database.url.database} does not exist yet; run `pressroom migrate`.")
    try:
        return fetch_revision(database)
    except DatabaseUnavailableError as error:
        where = database.url.render_as_string(hide_password=True)
        cause = getattr(error.__cause__, "orig", None) or error
        reason = str(cause).strip().splitlines()[0].rstrip(".")
        raise DatabaseUnavailableError(f"The database {where} is not available: {reason}.") from error


@cache
def _list_revisions() -> tuple[str, ...]:
    """Return the revisions that this code knows, the newest first."""
    scripts = ScriptDirectory.from_config(_build_alembic_config())
    return tuple(script.revision for script in scripts.walk_revisions())


def _build_alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
