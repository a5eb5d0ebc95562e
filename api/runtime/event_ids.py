"""A job's history as a line of places, told from its row alone: what happened, in order, and what a client has missed.

A job is queued, runs, is queued again, runs again, and so on until it ends. So its status and the number of its attempt
tell how many turns it has taken, and what each was; nothing about a turn needs to be kept.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from common.tables.states import JobStatus

PLACE = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")


class Place(NamedTuple):
    """Where on the line something stands; later is greater."""

    turn: int  # 0 queued, 1 running for the first time, 2 queued again, 3 running again ...
    part: int  # 0 the status itself; then the step, or, once the job has ended, its images and at last the job

    @property
    def id(self) -> str:
        """Return the place as the id of an event."""
        return f"{self.turn}.{self.part}"


class Move(NamedTuple):
    """A status that the job has come to."""

    place: Place
    status: JobStatus
    attempt: int


@dataclass(frozen=True)
class Look:
    """How a job stood at one moment."""

    status: JobStatus
    attempt: int
    step: int
    steps: int
    num_images: int

    @property
    def turn(self) -> int:
        """Return the number of the turn that the job is in."""
        if self.status.is_terminal:
            return 2 * self.attempt + 1
        return 2 * self.attempt - (self.status is JobStatus.RUNNING)

    @property
    def last(self) -> Place:
        """Return the last place that there can be while the job stands as it does."""
        return Place(self.turn, self.num_images + 1 if self.status.is_terminal else self.steps)

    @property
    def progress(self) -> Place | None:
        """Return the place of its progress; None if there is none to tell of."""
        return Place(self.turn, self.step) if self.status is JobStatus.RUNNING and self.step else None


def parse_id(event_id: str) -> Place | None:
    """Return the place whose id this is; None if it is none."""
    match = PLACE.fullmatch(event_id)
    return Place(int(match.group(1)), int(match.group(2))) if match else None


def find_place(event_id: str | None, look: Look) -> Place | None:
    """Return the place that *event_id* names; None if it names none, or one that the job has not come to."""
    place = parse_id(event_id or "")
    return place if place is not None and place <= look.last else None


def list_moves(after: Place | None, look: Look, *, was_queued_last: bool = False) -> Iterator[Move]:
    """Yield every status since *after*, the present one last; without *after* only the present one.

    A job that has ended did so while it ran, or, if *was_queued_last*, after it had been queued again.
    """
    first = look.turn if after is None else after.turn + 1
    for turn in range(first, look.turn):
        is_running = turn % 2 == 1
        if look.status.is_terminal and turn == look.turn - 1 and not was_queued_last:
            continue
        status = JobStatus.RUNNING if is_running else JobStatus.QUEUED
        yield Move(Place(turn, 0), status, (turn + 1) // 2)
    if first <= look.turn:
        yield Move(Place(look.turn, 0), look.status, look.attempt)
