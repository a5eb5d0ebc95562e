"""Passes: what the accelerator is told to do for some rows at once, and what each of them is charged for it."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from worker.engine.accelerator import Accelerator, Mark
from worker.engine.tickets import Row, Ticket

T = TypeVar("T")

ENCODE, DENOISE, DECODE = "encode", "denoise", "decode"


@dataclass(frozen=True)
class Pass:
    """Work that was told between two marks, for some rows."""

    phase: str
    rows: Sequence[Row]
    began: Mark
    ended: Mark
    cpu_seconds: float

    def book(self) -> None:
        """Wait until it is done, and charge each row an equal share of the accelerator's own time."""
        self.ended.wait()
        share = self.ended.seconds_since(self.began) / len(self.rows)
        for row in self.rows:
            row.seconds += share
            row.ticket.account.book(self.phase, share, self.cpu_seconds / len(self.rows))


class Passes:
    """The passes that have been told and not been booked yet, the oldest first."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._open: deque[Pass] = deque()

    def run(self, phase: str, rows: Sequence[Row], work: Callable[[], T]) -> T:
        """Tell the accelerator *work* for *rows*; whatever *work* raises, the time it took is booked in its turn."""
        tickets = tickets_of(rows)
        began, cpu_began = self._accelerator.mark(), time.thread_time()
        for ticket in tickets:
            ticket.open_passes += 1
        try:
            return work()
        finally:
            ended = self._accelerator.mark()
            self._open.append(Pass(phase, rows, began, ended, time.thread_time() - cpu_began))

    def book(self, left: int = 0) -> None:
        """Wait for the oldest passes and book them, until no more than *left* are open."""
        while len(self._open) > left:
            done = self._open.popleft()
            done.book()
            for ticket in tickets_of(done.rows):
                ticket.open_passes -= 1


def tickets_of(rows: Sequence[Row]) -> list[Ticket]:
    """Return the tickets of *rows*, each once."""
    return list(dict.fromkeys(row.ticket for row in rows))
