"""Migrates the database schema, and checks that it is up to date."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from common.db.engine import Database
from common.errors import DatabaseUnavailableError

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def upgrade_schema(database: Database) -> None:
    """Run every migration that *database* has not seen."""
    if database.is_sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    config = _build_alembic_config()
    with database.take_turn(), database.engine.connect() as connection:  # two may start at the same moment
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def fetch_revision(database: Database) -> str | None:
    """Return the revision that *database* is at; None for one without tables."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def load_newest_revision() -> str | None:
    """Return the revision that this code expects."""
    return ScriptDirectory.from_config(_build_alembic_config()).get_current_head()


def check_schema_not_older(database: Database) -> None:
    """Raise DatabaseUnavailableError, a plain sentence, unless *database* has today's tables or later ones."""
    revision = _fetch_existing_revision(database)
    known = {script.revision for script in ScriptDirectory.from_config(_build_alembic_config()).walk_revisions()}
    if revision is None or (revision in known and revision != load_newest_revision()):
        raise _create_revision_error(revision)


def check_schema_current(database: Database) -> None:
    """Raise DatabaseUnavailableError, a plain sentence, unless *database* answers and has today's tables."""
    revision = _fetch_existing_revision(database)
    if revision != load_newest_revision():
        raise _create_revision_error(revision)


def _create_revision_error(revision: str | None) -> DatabaseUnavailableError:
    found = f"at revision {revision}" if revision else "empty"
    return DatabaseUnavailableError(
        f"The database is {found}; this version needs {load_newest_revision()}. Run `pressroom migrate`."
    )


def _fetch_existing_revision(database: Database) -> str | None:
    """Return the present revision of *database*; raise DatabaseUnavailableError if it cannot be read."""
    if database.is_sqlite and not Path(database.url.database or "").exists():
        path = database.url.database
        raise DatabaseUnavailableError(f"The database {path} does not exist yet; run `pressroom migrate`.")
    try:
        with database.reading() as session:
            return MigrationContext.configure(session.connection()).get_current_revision()
    except DatabaseUnavailableError as error:
        where = database.url.render_as_string(hide_password=True)
        cause = getattr(error.__cause__, "orig", None) or error
        reason = str(cause).strip().splitlines()[0].rstrip(".")
        raise DatabaseUnavailableError(f"The database {where} is not available: {reason}.") from error


def _build_alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
