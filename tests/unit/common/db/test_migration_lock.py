"""A migration waits for its locks for a limited time, which its work does not shorten."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import OperationalError

from common.db import migration_lock
from common.db.engine import LOCK_NOT_AVAILABLE

LONG = 10 * migration_lock.PATIENCE_SECONDS


class LockTimeoutError(Exception):
    """What PostgreSQL answers when others hold a lock for too long."""

    sqlstate = LOCK_NOT_AVAILABLE


class Clock:
    """A clock that others move."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Migrations:
    """Migrations that work for *work_seconds* each, until one waits for its lock in vain, *blocked* times each."""

    def __init__(self, connection: Connection, clock: Clock, *, work_seconds: float, blocked: list[int]) -> None:
        self._connection = connection
        self._clock = clock
        self._work_seconds = work_seconds
        self._blocked = blocked

    def __call__(self) -> None:
        for number, times in enumerate(self._blocked):
            self._clock.sleep(self._work_seconds if times >= 0 else 0)
            if times > 0:
                self._blocked[number] -= 1
                self._clock.sleep(migration_lock.LOCK_SECONDS)
                raise OperationalError("ALTER TABLE presses", None, LockTimeoutError("lock timeout"))
            self._blocked[number] = -1  # done
            self._connection.exec_driver_sql("DELETE FROM alembic_version")
            self._connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (f"{number:04}",))
            self._connection.commit()


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as opened:
        opened.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        opened.commit()
        yield opened
    engine.dispose()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(migration_lock, "time", clock)
    return clock


def count_tries() -> int:
    return int(migration_lock.PATIENCE_SECONDS / (migration_lock.LOCK_SECONDS + migration_lock.PAUSE_SECONDS))


def test_a_migration_that_works_for_long_waits_for_its_locks_nevertheless(connection: Connection, clock: Clock) -> None:
    migrate = Migrations(connection, clock, work_seconds=LONG, blocked=[5, 5])
    migration_lock.retry_while_locked(connection, migrate)
    assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0001"


def test_each_migration_may_wait_for_all_of_the_time(connection: Connection, clock: Clock) -> None:
    migrate = Migrations(connection, clock, work_seconds=0, blocked=[count_tries(), count_tries()])
    migration_lock.retry_while_locked(connection, migrate)
    assert clock.now > 1.5 * migration_lock.PATIENCE_SECONDS


def test_a_migration_that_has_waited_for_too_long_gives_up(connection: Connection, clock: Clock) -> None:
    with pytest.raises(OperationalError):
        migration_lock.retry_while_locked(
            connection, Migrations(connection, clock, work_seconds=0, blocked=[count_tries() + 1])
        )
