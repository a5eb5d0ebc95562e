"""Lets one process at a time migrate a PostgreSQL database, beside processes that work with it.

A migration waits for a lock on a table for seconds only, because everything that comes after it queues behind it, and
tries again later. It has no limit for a statement: to fill a column or build an index may take hours.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from common.db.engine import DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, Database, translate_faults
from common.errors import DatabaseBusyError
from common.logs import get_logger

LOCK_SECONDS = 2.0
PAUSE_SECONDS = 1.0
PATIENCE_SECONDS = 300.0
"""How long each migration waits for its locks, all tries together, and how long a process waits for its turn."""

LOCK_KEY = 0x7072657373726F6F
"""The key of the advisory lock: any number, if only it is always the same."""

log = get_logger(__name__)


@contextmanager
def migrating_connection(database: Database) -> Iterator[Connection]:
    """Yield a connection with time limits for migrations, while no other process migrates *database*."""
    with translate_faults(), database.take_turn(), database.engine.connect() as connection:
        if database.is_sqlite:
            yield connection
            return
        try:
            for name, value in (
                ("lock_timeout", f"{LOCK_SECONDS:g}s"),
                ("statement_timeout", "0"),
                ("idle_in_transaction_session_timeout", "0"),
            ):
                connection.execute(text(f"SET {name} = '{value}'"))
            connection.commit()
            _await_turn(connection)
            yield connection
        finally:
            connection.invalidate()  # nobody else should inherit these limits


def retry_while_locked(connection: Connection, migrate: Callable[[], object]) -> None:
    """Call *migrate*, again and again while others hold the locks that it needs.

    Each migration is a transaction of its own, so those that have succeeded are not repeated. Only the waiting is
    limited, for each migration that is blocked; however long it works, its locks may be waited for as long.
    """
    blocked, waited = None, 0.0
    while True:
        started = time.monotonic()
        try:
            migrate()
        except OperationalError as error:
            connection.rollback()
            if getattr(error.orig, "sqlstate", None) not in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED):
                raise
            revision = MigrationContext.configure(connection).get_current_revision()
            connection.commit()
            if revision != blocked:
                blocked, waited = revision, 0.0
            waited += min(time.monotonic() - started, LOCK_SECONDS) + PAUSE_SECONDS
            if waited > PATIENCE_SECONDS:
                raise
            log.info("migration_waits", reason=str(error.orig).strip().splitlines()[0])
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _await_turn(connection: Connection) -> None:
    # Asking again and again, rather than waiting inside of PostgreSQL: a statement that waits has a snapshot, for whose
    # end the other's CREATE INDEX CONCURRENTLY would wait in turn.
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK_KEY}):
        connection.commit()
        if time.monotonic() > give_up_at:
            raise DatabaseBusyError("Another process is migrating the database; try again when it has finished.")
        time.sleep(PAUSE_SECONDS)
    connection.commit()
