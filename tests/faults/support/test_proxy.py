"""The proxy does what the tests of faults believe that it does."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.faults.support.proxy import Loss, Proxy, proxied


@pytest.fixture
def echo() -> Iterator[Proxy]:
    """A proxy to a server that sends everything back, in capitals."""

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1024):
                    connection.sendall(data.upper())
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with proxied(listener.getsockname()) as proxy:
            yield proxy
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def connect(proxy: Proxy, seconds: float = 10) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=seconds)


def ask(connection: socket.socket, data: bytes = b"x") -> bytes:
    connection.sendall(data)
    return connection.recv(1024)


def _is_over(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_the_proxy_carries_data_both_ways(echo: Proxy) -> None:
    with connect(echo) as connection:
        assert ask(connection, b"abc") == b"ABC"


def test_the_proxy_refuses_connections_until_it_is_healed(echo: Proxy) -> None:
    with connect(echo) as connection:
        ask(connection)
        echo.refuse()
        assert _is_over(connection)
    with pytest.raises(ConnectionRefusedError):
        connect(echo)
    echo.heal()
    with connect(echo) as connection:
        assert ask(connection) == b"X"


def test_the_proxy_holds_data_back_until_it_is_healed(echo: Proxy) -> None:
    with connect(echo, 0.2) as connection:
        ask(connection)
        echo.hang()
        with pytest.raises(TimeoutError):
            ask(connection, b"late")
        echo.heal()
        connection.settimeout(10)
        assert connection.recv(1024) == b"LATE"


def test_the_proxy_abandons_open_connections_and_carries_new_ones(echo: Proxy) -> None:
    with connect(echo, 0.2) as forsaken:
        ask(forsaken)
        echo.forsake()
        with pytest.raises(TimeoutError):
            ask(forsaken)
        with connect(echo) as connection:
            assert ask(connection, b"new") == b"NEW"


def test_the_proxy_cuts_one_connection_after_so_many_bytes(echo: Proxy) -> None:
    echo.cut_after(4)
    with connect(echo) as connection:
        ask(connection, b"abc")
        connection.sendall(b"def")
        assert _is_over(connection)
    assert echo.has_lost.is_set()
    with connect(echo) as connection:
        assert ask(connection, b"abcdef") == b"ABCDEF"


@pytest.mark.parametrize("is_of_answer", [True, False])
def test_the_proxy_drops_the_chosen_message_or_its_answer(echo: Proxy, *, is_of_answer: bool) -> None:
    echo.lose(Loss(b"insert", b"commit", is_of_answer=is_of_answer))
    with connect(echo) as other, connect(echo) as connection:
        assert ask(connection, b"insert") == b"INSERT"
        assert ask(other, b"commit") == b"COMMIT"
        with pytest.raises(ConnectionResetError):
            ask(connection, b"commit")
    assert echo.has_lost.is_set()
