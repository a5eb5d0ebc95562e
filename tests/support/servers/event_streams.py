"""A reader of server-sent events as they come, from the body of an answer."""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from werkzeug.test import TestResponse


class StreamedEvent(NamedTuple):
    """An event that has arrived."""

    id: str
    name: str
    data: dict[str, Any]


def parse(text: str) -> list[StreamedEvent]:
    """Return the events in *text*; comments and hints to retry are passed over."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in fields:
            found.append(StreamedEvent(fields["id"], fields["event"], json.loads(fields["data"])))
    return found


class EventReader:
    """The events of one answer, each as soon as it arrives; must be closed if not read to the end."""

    def __init__(self, answer: TestResponse) -> None:
        assert answer.status_code == 200, answer.text
        self._answer = answer
        self._chunks: Iterator[bytes] = iter(_bytes(answer.response))
        self._come: deque[StreamedEvent] = deque()

    def __iter__(self) -> Iterator[StreamedEvent]:
        return self

    def __next__(self) -> StreamedEvent:
        while not self._come:
            self._come.extend(parse(self.next_chunk().decode()))
        return self._come.popleft()

    def next_chunk(self) -> bytes:
        """Return what is sent next, as it is."""
        return next(self._chunks)

    def close(self) -> None:
        self._answer.close()


def _bytes(parts: Iterable[bytes]) -> Iterator[bytes]:
    yield from parts
