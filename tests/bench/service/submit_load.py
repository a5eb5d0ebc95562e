"""A closed loop of keep-alive connections, each with one order on its way, in a process of its own.

One thread and as little work for each order as can be, because it shares the machine with the server. Prints JSON:
the seconds that all took, and each order's.
"""

import argparse
import json
import selectors
import socket
import sys
import time
from uuid import uuid4

BODY = {"prompt": "a fox on a red background", "width": 512, "height": 512, "steps": 20, "metadata": {"row": "17"}}
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
ACCEPTED = b"HTTP/1.1 202"


class Connection:
    """One connection and the order that is on its way."""

    def __init__(self, port: int, key: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._body = json.dumps(BODY).encode()
        self._head = (
            f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self._body)}\r\nIdempotency-Key: "
        )
        self._read = b""
        self.began = 0.0

    def send(self) -> None:
        """Order once more, under a key of its own."""
        self._read, self.began = b"", time.perf_counter()
        self.socket.sendall(f"{self._head}{uuid4().hex}\r\n\r\n".encode() + self._body)

    def receive(self) -> bool:
        """Take what has come; tell whether the answer is whole."""
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("the server hung up")
        self._read += data
        head, found, body = self._read.partition(HEAD_END)
        if not found:
            return False
        if not head.startswith(ACCEPTED):
            raise ConnectionError(f"not accepted: {self._read.decode(errors='replace')}")
        after = head.lower().partition(LENGTH)[2]
        return len(body) >= int(after.split(b"\r\n", 1)[0])


def drive(port: int, key: str, connections: int, orders: int) -> tuple[float, list[float]]:
    """Send so many *orders*; return the seconds that it took, and those of each."""
    selector = selectors.DefaultSelector()
    seconds: list[float] = []
    opened = [Connection(port, key) for _ in range(connections)]
    began, left = time.perf_counter(), orders
    for connection in opened[:orders]:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send()
        left -= 1
    while len(seconds) < orders:
        for event, _ in selector.select():
            connection = event.data
            if not connection.receive():
                continue
            seconds.append(time.perf_counter() - connection.began)
            if left:
                connection.send()
                left -= 1
    took = time.perf_counter() - began
    for connection in opened:
        connection.socket.close()
    selector.close()
    return took, seconds


def main() -> None:
    """Run once, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--orders", type=int, required=True)
    given = parser.parse_args()
    took, seconds = drive(given.port, sys.stdin.readline().strip(), given.connections, given.orders)
    print(json.dumps({"took": took, "seconds": seconds}))


if __name__ == "__main__":
    main()
