"""What is told of a job while it is followed."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from queue import Empty
from uuid import UUID

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.jobs import queries, serializers
from api.runtime import event_ids
from api.runtime.context import Context
from api.runtime.event_ids import Look, Place
from api.web.errors import RefusedError
from api.web.output import Output
from api.web.sse import HEARTBEAT, RETRY, Event
from api.web.validation import Header
from common.errors import DatabaseUnavailableError
from common.tables import Attempt, Job
from common.tables.states import JobStatus, Outcome

HEARTBEAT_SECONDS = 15
LONGEST_SECONDS = 600
"""After so long a stream ends wherever the job is, and its client comes back for the rest."""


def see(row: Job) -> Look:
    """Return how the job of *row* stands."""
    return Look(row.status, row.attempt, row.progress_step, row.steps, row.num_images)


def tell(after: Place | None, look: Look) -> Iterator[Event]:
    """Yield what has happened since *after* to a job that has not ended."""
    yield from _tell_moves(event_ids.list_moves(after, look))
    place = look.progress
    if place is not None and (after is None or place > after):
        progress = JobProgress(step=look.step, steps=look.steps, attempt=look.attempt)
        yield Event(place.id, "progress", progress.model_dump_json())


def tell_end(session: Session, row: Job, context: Context, after: Place | None) -> Iterator[Event]:
    """Yield what has happened since *after* to a job that has ended; without *after* only the job as it is."""
    look = see(row)
    shown = serializers.show_job(session, row, context)
    if after is not None:
        was_queued_last = _was_queued_last(session, row)
        yield from _tell_moves(event_ids.list_moves(after, look, was_queued_last=was_queued_last))
        for image in shown.images:
            place = Place(look.turn, image.index + 1)
            if place > after:
                yield Event(place.id, "image", image.model_dump_json(by_alias=True))
    yield Event(look.last.id, "job", shown.model_dump_json(by_alias=True))


class Stream:
    """The body of an answer to somebody who follows a job; it takes a seat in the waiting room, and must be closed.

    Raises RefusedError with ``too_many_streams``.
    """

    def __init__(self, context: Context, owner: str, job_id: UUID, look: Look, after: Place | None) -> None:
        self._context = context
        self._owner = owner
        self._look = look
        self._after = after
        with ExitStack() as farewell:
            if not context.waiting_room.enter():
                raise RefusedError("too_many_streams", "Look at the job now and then instead, or come back later.")
            farewell.callback(context.waiting_room.leave)
            self._watch = context.lookout.watch(job_id, look)
            farewell.callback(context.lookout.leave, self._watch)
            self._farewell = farewell.pop_all()

    def close(self) -> None:
        """Give back the seat; doing it again changes nothing."""
        self._farewell.close()

    def __iter__(self) -> Iterator[bytes]:
        yield RETRY + self._encode(tell(self._after, self._look))
        for look in self._looks():
            if look is None:
                yield HEARTBEAT
            elif look.status.is_terminal:
                yield from self._end()
                return
            elif news := self._encode(tell(self._after, look)):
                yield news

    def _looks(self) -> Iterator[Look | None]:
        """Yield each changed look, and None whenever there was none for a while; end when the stream must."""
        end = time.monotonic() + LONGEST_SECONDS
        while (left := end - time.monotonic()) > 0:
            try:
                look = self._watch.news.get(timeout=min(HEARTBEAT_SECONDS, left))
            except Empty:
                yield None
                continue
            if look is None:
                return
            yield look

    def _end(self) -> Iterator[bytes]:
        try:
            with self._context.database.reading() as session:
                row = queries.find_job(session, self._owner, self._watch.job_id)
                told = self._encode(tell_end(session, row, self._context, self._after))
        except DatabaseUnavailableError:
            return  # the client comes back for it
        yield told

    def _encode(self, events: Iterator[Event]) -> bytes:
        told = list(events)
        if told:
            self._after = event_ids.parse_id(told[-1].id)
        return b"".join(event.encode() for event in told)


def _tell_moves(moves: Iterator[event_ids.Move]) -> Iterator[Event]:
    for place, status, attempt in moves:
        yield Event(place.id, "status", JobTurn(status=status, attempt=attempt).model_dump_json())


def _was_queued_last(session: Session, row: Job) -> bool:
    """Tell whether a job that has ended was queued again after its last attempt, and given up in the queue."""
    if row.status not in (JobStatus.CANCELED, JobStatus.EXPIRED):
        return False
    number = select(Attempt.outcome).where(Attempt.job_id == row.id, Attempt.number == row.attempt)
    return session.scalar(number) not in (Outcome.CANCELED, Outcome.EXPIRED)


class JobTurn(Output):
    """The data of an event `status`: the job has come to this status."""

    status: JobStatus
    attempt: int = Field(description="How often a press has begun with it.")


class JobProgress(Output):
    """The data of an event `progress`: how far the attempt has got."""

    step: int
    steps: int
    attempt: int


class FollowHeaders(Header):
    """The headers of a request that follows a job."""

    last_event_id: str | None = Field(
        None,
        alias="Last-Event-ID",
        description="The `id` of the last event that has arrived: what came before it is not told again. An id that "
        "this job has never had is passed over.",
    )
