"""Event IDs of a job's stream: derive a job's history, and what a client has missed, from its row alone.

A job is queued, runs, is queued again, runs again, and so on until it ends. So its status and attempt number determine
how many turns it has taken and what each one was; turns need not be stored.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from common.states.jobs import JobStatus

POSITION_PATTERN = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")


class EventPosition(NamedTuple):
    """The position of an event in the history; later positions compare greater."""

    turn: int  # 0 queued, 1 running for the first time, 2 queued again, 3 running again ...
    part: int  # 0 for the status; then the step or, once the job has ended, its images and finally the job

    @property
    def id(self) -> str:
        """Return the event ID of this place."""
        return f"{self.turn}.{self.part}"


class StatusChange(NamedTuple):
    """A change to a status."""

    place: EventPosition
    status: JobStatus
    attempt: int


@dataclass(frozen=True)
class JobSnapshot:
    """The state of a job at one moment."""

    status: JobStatus
    attempt: int
    step: int
    steps: int
    num_images: int

    @property
    def turn(self) -> int:
        """Return the number of the current turn."""
        if self.status.is_terminal:
            return 2 * self.attempt + 1
        return 2 * self.attempt - (self.status is JobStatus.RUNNING)

    @property
    def last(self) -> EventPosition:
        """Return the last possible place in the current state."""
        return EventPosition(self.turn, self.num_images + 1 if self.status.is_terminal else self.steps)

    @property
    def progress(self) -> EventPosition | None:
        """Return the place of the current progress; None without any progress to report."""
        return EventPosition(self.turn, self.step) if self.status is JobStatus.RUNNING and self.step else None


def parse_event_id(event_id: str) -> EventPosition | None:
    """Return the place with this event ID; None if the ID is not valid."""
    match = POSITION_PATTERN.fullmatch(event_id)
    return EventPosition(int(match.group(1)), int(match.group(2))) if match else None


def find_position(event_id: str | None, look: JobSnapshot) -> EventPosition | None:
    """Return the place that *event_id* names; None if it is not valid or the job has not reached it."""
    place = parse_event_id(event_id or "")
    return place if place is not None and place <= look.last else None


def list_status_changes(
    after: EventPosition | None, look: JobSnapshot, *, was_queued_last: bool = False
) -> Iterator[StatusChange]:
    """Yield every status since *after*, ending with the current one; without *after*, only the current one.

    A job that has ended did so while it ran, or, if *was_queued_last*, after it had been queued again.
    """
    first = look.turn if after is None else after.turn + 1
    for turn in range(first, look.turn):
        is_running = turn % 2 == 1
        if look.status.is_terminal and turn == look.turn - 1 and not was_queued_last:
            continue
        status = JobStatus.RUNNING if is_running else JobStatus.QUEUED
        yield StatusChange(EventPosition(turn, 0), status, (turn + 1) // 2)
    if first <= look.turn:
        yield StatusChange(EventPosition(look.turn, 0), look.status, look.attempt)
