"""Links that carry nothing more and are never ended, to PostgreSQL and to Redis: nobody waits at them for ever."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text

from common.db.engine import POSTGRESQL_CONNECT_ARGS, Database
from common.errors import DatabaseUnavailableError
from common.states.jobs import JobStatus
from tests.faults.support import press_process
from tests.faults.support.press_process import Linked
from tests.faults.support.proxy import Proxy, proxied
from tests.functional.stack import Stack

PATIENCE_SECONDS = 100
"""A press waits for a word of Redis for half a minute before it takes the line for dead."""

MORE_THAN_BUFFERS_HOLD = "x" * 32_000_000


@pytest.fixture
def link(postgresql_url: str) -> Iterator[Proxy]:
    with proxied(Path(str(sqlalchemy.make_url(postgresql_url).query["host"])) / ".s.PGSQL.5432") as proxy:
        yield proxy


@pytest.fixture
def far_database(postgresql_url: str, link: Proxy) -> Iterator[Database]:
    """A database beyond a link, whose machine counts as gone after half a second."""
    query = {"sslmode": "disable", "tcp_user_timeout": "500"}
    url = sqlalchemy.make_url(postgresql_url).set(host="127.0.0.1", port=link.port, query=query)
    opened = Database(url.render_as_string(hide_password=False))
    yield opened
    opened.close()


def test_f25_a_database_that_stops_receiving_data_times_out(link: Proxy, far_database: Database) -> None:
    with far_database.reading() as session:
        assert session.scalar(text("SELECT 1")) == 1
        link.hang()
        with pytest.raises(sqlalchemy.exc.OperationalError):
            session.scalar(text("SELECT length(:sent)"), {"sent": MORE_THAN_BUFFERS_HOLD})
    link.heal()
    with far_database.reading() as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_f25_a_database_whose_machine_is_gone_is_noticed(far_database: Database) -> None:
    with far_database.reading() as session:
        driver = session.connection().connection.driver_connection
        assert driver is not None
        with socket.socket(fileno=socket.dup(driver.fileno())) as end:
            asked = {
                "keepalives_idle": end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                "keepalives_interval": end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                "keepalives_count": end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                "connect_timeout": POSTGRESQL_CONNECT_ARGS["connect_timeout"],
                "tcp_user_timeout": 20_000,
            }
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 500, "as the URL says"
    assert asked == POSTGRESQL_CONNECT_ARGS


def test_f25_a_database_that_never_accepts_the_connection_times_out(link: Proxy, far_database: Database) -> None:
    link.hang()
    with pytest.raises(DatabaseUnavailableError, match="timeout"), far_database.reading() as session:
        session.scalar(text("SELECT 1"))


def test_f25_a_dead_connection_to_redis_is_replaced(linked: Stack, links: Linked) -> None:
    with press_process.press(linked) as press:
        links.broker_link.forsake()
        ordered = [linked.client().order() for _ in range(3)]
        assert {row.status for row in linked.settle(ordered, PATIENCE_SECONDS)} == {JobStatus.SUCCEEDED}
        assert press.poll() is None
