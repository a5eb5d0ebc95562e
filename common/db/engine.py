"""The database: engine, transactions, column types, and the database's own clock."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Engine,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from common.db.sqlite_lock import FileLock
from common.errors import DatabaseBusyError, DatabaseUnavailableError

BUSY_TIMEOUT_SECONDS = 10
POOL_TIMEOUT_SECONDS = 5
POSTGRESQL_LIMITS = "-c lock_timeout=10s -c statement_timeout=60s -c idle_in_transaction_session_timeout=15s"
"""The last is for whoever is stopped, or loses its machine, in the middle of a transaction: the rows that it has locked
would be nobody's until the kernel notices, which takes hours."""

POSTGRESQL_CONNECT_ARGS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""In libpq's words: seconds, and the last in milliseconds. A machine that is gone without a goodbye is noticed within
half a minute; the kernel would wait for a quarter of an hour, or for two hours. The URL may say otherwise."""

IDLE_IN_TRANSACTION = "25P03"
"""PostgreSQL's code for a transaction that it has ended for that reason."""

LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL's code for a lock that was not to be had in time."""

DEADLOCK_DETECTED = "40P01"
"""PostgreSQL's code for two transactions that wait for each other, of which it has ended this one."""

SHORT_WAIT = "250ms"
"""How long a transaction in a hurry waits for a lock; shorter than PostgreSQL takes to look for deadlocks."""


class Database:
    """One database, PostgreSQL or SQLite; hands out short transactions.

    What PostgreSQL has committed is on its disk. So it is on SQLite if *is_durable*, for whoever promises it to others;
    otherwise a loss of power may take the last second back, as one whole.
    """

    def __init__(self, url: str, *, is_durable: bool = False) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _create_sqlite_engine(url, is_durable) if self.is_sqlite else _create_postgresql_engine(url)
        self._writing = self.engine.execution_options(pressroom_write=True)
        self._glancing = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._turn = FileLock(Path(f"{self.url.database}-writers")) if self.is_sqlite else None

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session that commits on leaving and rolls back on any exception.

        Raises DatabaseUnavailableError when the database does not answer, DatabaseBusyError when others are in the way.
        """
        turn = self._turn or nullcontext()
        with _translate_faults(), turn, Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session for reading only; nothing that it does is kept."""
        with _translate_faults(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def glancing(self) -> Iterator[Session]:
        """Yield a session for one statement that reads: no transaction around it, and so half the round trips."""
        with _translate_faults(), Session(self._glancing, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        """Close every connection, and those that a thread still holds as soon as it gives them back."""
        event.listen(self.engine, "checkin", _close_on_checkin)
        self.engine.dispose()
        if self._turn is not None:
            self._turn.close()


def _close_on_checkin(connection: DBAPIConnection | None, _record: object) -> None:
    if connection is not None:
        connection.close()


def shorten_lock_timeout(session: Session) -> None:
    """Have this transaction wait for no lock longer than a moment; on SQLite only the whole database can be locked."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection().exec_driver_sql(f"SET LOCAL lock_timeout = '{SHORT_WAIT}'")


def _create_postgresql_engine(url: str) -> Engine:
    link = {name: value for name, value in POSTGRESQL_CONNECT_ARGS.items() if name not in make_url(url).query}
    return create_engine(
        url,
        hide_parameters=True,  # an error must not carry a prompt into a log
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=24,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        connect_args={**link, "options": POSTGRESQL_LIMITS},
    )


def _create_sqlite_engine(url: str, is_durable: bool) -> Engine:
    busy = {"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
    engine = create_engine(url, hide_parameters=True, connect_args=busy)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if is_durable else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # A deferred transaction that turns into a write fails at once with "database is locked", whatever the timeout.
        writes = connection.get_execution_options().get("pressroom_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def _translate_faults() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, PoolTimeoutError) as error:
        state = getattr(getattr(error, "orig", None), "sqlstate", None)
        if isinstance(error, InternalError) and state != IDLE_IN_TRANSACTION:
            raise
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        if state in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED):
            raise DatabaseBusyError(f"The database is busy: {reason}") from error
        raise DatabaseUnavailableError(f"The database is not available: {reason}") from error
