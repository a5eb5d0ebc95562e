"""Clients that take a server's time: they send a byte a second, or ask for much and read nothing."""

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

PAUSE_SECONDS = 0.5
RECEIVE_BYTES = 4096
"""The receive buffer of a client that does not read, in bytes."""

UNREAD_ANSWERS = 10
LONG_BODY = 200_000
UPLOAD_BYTES = 5_000_000


@dataclass(frozen=True)
class Target:
    """The server under attack, the key of the attacker, and what that key has made."""

    port: int
    key: str
    job_id: str
    campaign_id: str


@dataclass(frozen=True)
class Kind:
    """One way to be slow: what is sent at once, and what is sent byte by byte afterwards, over and over."""

    name: str
    build_start: Callable[[Target], bytes]
    dribble: bytes = b""


def _post(path: str, content_type: str, length: int, key: str = "") -> bytes:
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{authorization}Content-Type: {content_type}\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode()


def _get(path: str, key: str = "") -> bytes:
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n{authorization}\r\n".encode()


FORM = "application/x-www-form-urlencoded"
PICTURE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'

KINDS = (
    Kind("request lines", lambda _: b"", b"GET /" + b"a" * 2000),
    Kind("request heads", lambda _: b"GET /v1/jobs HTTP/1.1\r\nHost: a\r\n", b"X-Slow: aaaaaaaaaa\r\n"),
    Kind("sign-in bodies", lambda _: _post("/console/sign-in", FORM, LONG_BODY), b"key=aaaaaaaaaaaa"),
    Kind("bodies without a key", lambda _: _post("/v1/jobs", "application/json", LONG_BODY), b'{"prompt": "aaaa'),
    Kind("bodies", lambda t: _post("/v1/jobs", "application/json", LONG_BODY, t.key), b'{"prompt": "aaaa'),
    Kind("uploads without a key", lambda _: _post("/v1/assets", "multipart/form-data; boundary=x", UPLOAD_BYTES), b"a"),
    Kind(
        "picture uploads",
        lambda t: _post("/v1/assets", "multipart/form-data; boundary=x", UPLOAD_BYTES, t.key) + PICTURE,
        b"aaaaaaaaaaaaaaa",
    ),
    Kind(
        "recipient uploads",
        lambda t: _post(f"/v1/campaigns/{t.campaign_id}/recipients", "text/csv", UPLOAD_BYTES, t.key).replace(
            b"POST", b"PUT", 1
        ),
        b"name\nAda\nEve\n",
    ),
    Kind("unread answers without a key", lambda _: _get("/openapi.json") * UNREAD_ANSWERS),
    Kind("unread answers", lambda t: _get("/v1/jobs?limit=100", t.key) * UNREAD_ANSWERS),
    Kind("unread archives", lambda t: _get(f"/v1/campaigns/{t.campaign_id}/archive.zip", t.key) * UNREAD_ANSWERS),
    Kind("event streams", lambda t: _get(f"/v1/jobs/{t.job_id}/events", t.key)),
    Kind(
        "long waits",
        lambda t: (
            _post("/v1/jobs", "application/json", 15, t.key).replace(
                b"Content-Type", b"Prefer: wait=60\r\nContent-Type"
            )
            + b'{"prompt": "x"}'
        ),
    ),
)


@contextmanager
def attacking(target: Target, kind: Kind, count: int) -> Iterator[None]:
    """Keep *count* slow connections of one kind open until the block ends; closed ones are opened again."""
    _allow_sockets(count)
    is_over = threading.Event()
    thread = threading.Thread(target=_attack, args=(target, kind, count, is_over), daemon=True)
    thread.start()
    time.sleep(2 * PAUSE_SECONDS)
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _attack(target: Target, kind: Kind, count: int, is_over: threading.Event) -> None:
    start, dribble = kind.build_start(target), cycle(kind.dribble) if kind.dribble else None
    connections: list[socket.socket] = []
    while not is_over.is_set():
        while len(connections) < count:
            with contextlib.suppress(OSError):
                connections.append(_open(target.port, start))
                continue
            break
        if dribble is not None:
            byte = bytes([next(dribble)])
            connections = [connection for connection in connections if _send(connection, byte)]
        is_over.wait(PAUSE_SECONDS)
    for connection in connections:
        connection.close()


def _open(port: int, start: bytes) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    connection.settimeout(5)
    connection.connect(("127.0.0.1", port))
    connection.sendall(start)
    connection.setblocking(False)
    return connection


def _send(connection: socket.socket, byte: bytes) -> bool:
    """Send one byte; return whether the connection is still open."""
    try:
        connection.send(byte)
    except BlockingIOError:
        return True
    except OSError:
        connection.close()
        return False
    return True


def _allow_sockets(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 512)), hard))
