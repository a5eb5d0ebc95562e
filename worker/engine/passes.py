"""Passes: work submitted to the accelerator for several rows at once, and the cost charged to each."""

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
    """Work submitted between two marks, for some rows."""

    phase: str
    rows: Sequence[Row]
    began: Mark
    ended: Mark
    cpu_seconds: float

    def book(self) -> None:
        """Wait until the pass is done, and charge each row an equal share of the accelerator time."""
        self.ended.wait()
        share = self.ended.seconds_since(self.began) / len(self.rows)
        for row in self.rows:
            row.seconds += share
            row.ticket.account.book(self.phase, share, self.cpu_seconds / len(self.rows))


class PassQueue:
    """Submitted passes that are not yet booked, oldest first."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._open: deque[Pass] = deque()

    def run(self, phase: str, rows: Sequence[Row], work: Callable[[], T]) -> T:
        """Submit *work* for *rows*; its time is booked in order even if *work* raises."""
        tickets = collect_tickets(rows)
        began, cpu_began = self._accelerator.mark(), time.thread_time()
        for ticket in tickets:
            ticket.open_passes += 1
        try:
            return work()
        finally:
            ended = self._accelerator.mark()
            self._open.append(Pass(phase, rows, began, ended, time.thread_time() - cpu_began))

    def book(self, left: int = 0) -> None:
        """Wait for and book the oldest passes until at most *left* are open."""
        while len(self._open) > left:
            done = self._open.popleft()
            done.book()
            for ticket in collect_tickets(done.rows):
                ticket.open_passes -= 1


def collect_tickets(rows: Sequence[Row]) -> list[Ticket]:
    """Return the distinct tickets of *rows*."""
    return list(dict.fromkeys(row.ticket for row in rows))
