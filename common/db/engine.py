"""The database: engine, transactions, and the queue of SQLite's writers."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    TimeoutError as PoolTimeoutError,
)
from sqlalchemy.orm import Session

from common.errors import DatabaseBusyError, DatabaseUnavailableError, SchemaError
from common.settings import Settings

BUSY_TIMEOUT_SECONDS = 10
POOL_TIMEOUT_SECONDS = 5
POSTGRESQL_LIMITS = {
    "lock_timeout": "10s",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "15s",
    "jit": "off",
}
"""The third ends a transaction whose process was stopped, or lost its machine, in the middle: its row locks would
otherwise be held until the kernel notices, which takes hours. The last: no statement here runs as long as it takes to
compile one, which PostgreSQL may do for any that it takes for costly."""

POSTGRESQL_CONNECT_ARGS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Parameters of libpq: in seconds, the last in milliseconds. A machine that vanishes is noticed within half a minute;
by default it takes a quarter of an hour, or two hours. The URL may override them."""

IDLE_IN_TRANSACTION = "25P03"
"""PostgreSQL's code for a transaction that was idle too long and was ended."""

LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL's code for a lock that was not available in time."""

DEADLOCK_DETECTED = "40P01"
"""PostgreSQL's code for two transactions that wait for each other, of which it has ended this one."""

MISSING_TABLE_OR_COLUMN = ("42P01", "42703")
"""PostgreSQL's codes for a table or a column that does not exist: the database was not migrated."""

SQLITE_MISSING = ("no such table", "no such column")

SHORT_WAIT = "250ms"
"""How long a transaction in a hurry waits for a lock; shorter than PostgreSQL takes to look for deadlocks."""


@dataclass(frozen=True)
class Pool:
    """How many connections to PostgreSQL a process keeps, how many more it opens, and what they lead to."""

    size: int = 8
    overflow: int = 24
    is_shared: bool = False
    """Whether they lead to a pooler such as PgBouncer that gives each transaction another session of PostgreSQL."""


class Database:
    """One database, PostgreSQL or SQLite; hands out short transactions.

    What PostgreSQL has committed is on its disk. With SQLite that is so only if *is_durable*, for processes that
    promise durability to clients; otherwise a power failure may undo the transactions of about the last second.
    """

    def __init__(self, url: str, *, is_durable: bool = False, pool: Pool = Pool()) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.is_pooled = pool.is_shared and not self.is_sqlite
        self.engine = _create_sqlite_engine(url, is_durable) if self.is_sqlite else _create_postgresql_engine(url, pool)
        self._writing = self.engine.execution_options(pressroom_write=True)
        # Behind a pooler, the limits of a statement hold within a transaction only.
        needs_transaction = self.is_sqlite or self.is_pooled
        self._glancing = (
            self.engine if needs_transaction else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._turn = _FileLock(Path(f"{self.url.database}-writers")) if self.is_sqlite else None

    @classmethod
    def of(cls, settings: Settings, *, is_durable: bool = False) -> Self:
        """Return the database that the settings name."""
        is_shared = settings.database_pooler == "transaction"
        pool = Pool(settings.database_connections, settings.database_extra_connections, is_shared)
        return cls(settings.sqlalchemy_url, is_durable=is_durable, pool=pool)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session that commits on leaving and rolls back on any exception.

        Raises DatabaseUnavailableError when the database does not answer, DatabaseBusyError when others are in the way.
        """
        turn = self.take_turn()
        with translate_faults(), turn, Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session for reading only; nothing that it does is kept."""
        with translate_faults(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def glancing(self) -> Iterator[Session]:
        """Yield a session for one statement that reads: no transaction around it, and so half the round trips."""
        with translate_faults(), Session(self._glancing, expire_on_commit=False) as session:
            yield session

    def take_turn(self) -> AbstractContextManager[None]:
        """Let no other process write to a SQLite file in the block; does nothing on PostgreSQL."""
        return self._turn or nullcontext()

    def close(self) -> None:
        """Close every connection; those in use are closed as soon as they are returned."""
        event.listen(self.engine, "checkin", _close_on_checkin)
        self.engine.dispose()
        if self._turn is not None:
            self._turn.close()


class _FileLock:
    """Lets one writer at a time, across all processes, write to a SQLite file.

    SQLite's own busy handler sleeps and retries, which starves some writers for seconds; a file lock queues them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread_lock = threading.Lock()
        self._file: Any = None
        self._is_closed = False

    def __enter__(self) -> None:
        self._thread_lock.acquire()
        try:
            if self._file is None:
                self._file = self._path.open("ab")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except OSError as error:
            self._thread_lock.release()
            raise DatabaseUnavailableError(f"The database directory is not writable: {error.strerror}") from error

    def __exit__(self, *exception: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        if self._is_closed:
            self._close_file()
        self._thread_lock.release()

    def close(self) -> None:
        """Close the lock's file; a later writer opens it again, and closes it when done."""
        with self._thread_lock:
            self._is_closed = True
            self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _close_on_checkin(connection: DBAPIConnection | None, _record: object) -> None:
    if connection is not None:
        connection.close()


def shorten_lock_timeout(session: Session) -> None:
    """Shorten the lock timeout of this transaction; does nothing on SQLite, which locks the whole database."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection().exec_driver_sql(f"SET LOCAL lock_timeout = '{SHORT_WAIT}'")


def _create_postgresql_engine(url: str, pool: Pool) -> Engine:
    link: dict[str, Any] = {
        name: value for name, value in POSTGRESQL_CONNECT_ARGS.items() if name not in make_url(url).query
    }
    if pool.is_shared:
        link["prepare_threshold"] = None  # a statement prepared in one session of PostgreSQL is unknown in the next
    else:
        link["options"] = " ".join(f"-c {name}={value}" for name, value in POSTGRESQL_LIMITS.items())
    engine = create_engine(
        url,
        hide_parameters=True,  # an error must not carry a prompt into a log
        pool_pre_ping=True,
        pool_size=pool.size,
        max_overflow=pool.overflow,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        connect_args=link,
    )
    if pool.is_shared:
        event.listen(engine, "begin", _limit_transaction)
    return engine


def _limit_transaction(connection: Connection) -> None:
    """Set the limits for this transaction alone: a pooler refuses them at the start of a connection."""
    limits = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in POSTGRESQL_LIMITS.items())
    connection.exec_driver_sql(f"SELECT {limits}")


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
def translate_faults() -> Iterator[None]:
    """Translate faults of the database into DatabaseUnavailableError, with one line of cause; others pass through."""
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, ProgrammingError, PoolTimeoutError) as error:
        state = getattr(getattr(error, "orig", None), "sqlstate", None)
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        if state in MISSING_TABLE_OR_COLUMN or reason.startswith(SQLITE_MISSING):
            raise SchemaError(f"The database needs `pressroom migrate`: {reason}.") from error
        if isinstance(error, (InternalError, ProgrammingError)) and state != IDLE_IN_TRANSACTION:
            raise
        if state in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED):
            raise DatabaseBusyError(f"The database is busy: {reason}") from error
        raise DatabaseUnavailableError(f"The database is not available: {reason}") from error
