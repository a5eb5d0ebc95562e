"""Produce the server-sent events of a job."""

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
from api.runtime.context import AppContext
from api.runtime.event_ids import EventPosition, JobSnapshot
from api.web.errors import RefusedError
from api.web.output import Output
from api.web.sse import HEARTBEAT, RETRY, Event
from api.web.validation import Header
from common.errors import DatabaseUnavailableError
from common.states.jobs import JobStatus, Outcome
from common.tables import Attempt, Job

HEARTBEAT_SECONDS = 15
LONGEST_SECONDS = 600
"""Maximum duration of a stream; after that, the client reconnects."""


def snapshot_job(row: Job) -> JobSnapshot:
    """Return the current state of the job in *row*."""
    return JobSnapshot(row.status, row.attempt, row.progress_step, row.steps, row.num_images)


def iter_events(after: EventPosition | None, look: JobSnapshot) -> Iterator[Event]:
    """Yield the events since *after* of a job that has not ended."""
    yield from _iter_status_events(event_ids.list_status_changes(after, look))
    place = look.progress
    if place is not None and (after is None or place > after):
        progress = JobProgress(step=look.step, steps=look.steps, attempt=look.attempt)
        yield Event(place.id, "progress", progress.model_dump_json())


def iter_final_events(session: Session, row: Job, context: AppContext, after: EventPosition | None) -> Iterator[Event]:
    """Yield the events since *after* of a job that has ended; without *after*, only the `job` event."""
    look = snapshot_job(row)
    shown = serializers.serialize_job(session, row, context)
    if after is not None:
        was_queued_last = _was_queued_last(session, row)
        yield from _iter_status_events(event_ids.list_status_changes(after, look, was_queued_last=was_queued_last))
        for image in shown.images:
            place = EventPosition(look.turn, image.index + 1)
            if place > after:
                yield Event(place.id, "image", image.model_dump_json(by_alias=True))
    yield Event(look.last.id, "job", shown.model_dump_json(by_alias=True))


class JobEventStream:
    """The response body for a client that follows a job; it takes a seat in the waiting room and must be closed.

    Raises RefusedError with ``too_many_streams``.
    """

    def __init__(
        self, context: AppContext, owner: str, job_id: UUID, look: JobSnapshot, after: EventPosition | None
    ) -> None:
        self._context = context
        self._owner = owner
        self._look = look
        self._after = after
        with ExitStack() as farewell:
            leave = context.waiting_room.enter(owner)
            if leave is None:
                raise RefusedError("too_many_streams", "Poll the job instead, or try again later.")
            farewell.callback(leave)
            self._watch = context.watcher.watch(job_id, look)
            farewell.callback(context.watcher.leave, self._watch)
            self._farewell = farewell.pop_all()

    def close(self) -> None:
        """Give back the seat; idempotent."""
        self._farewell.close()

    def __iter__(self) -> Iterator[bytes]:
        yield RETRY + self._encode(iter_events(self._after, self._look))
        for look in self._looks():
            if look is None:
                yield HEARTBEAT
            elif look.status.is_terminal:
                yield from self._end()
                return
            elif news := self._encode(iter_events(self._after, look)):
                yield news

    def _looks(self) -> Iterator[JobSnapshot | None]:
        """Yield each changed state, or None if nothing changed for a while; stop when the stream must end."""
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
                row = queries.load_job(session, self._owner, self._watch.job_id)
                told = self._encode(iter_final_events(session, row, self._context, self._after))
        except DatabaseUnavailableError:
            return  # the client reconnects to get it
        yield told

    def _encode(self, events: Iterator[Event]) -> bytes:
        told = list(events)
        if told:
            self._after = event_ids.parse_event_id(told[-1].id)
        return b"".join(event.encode() for event in told)


def _iter_status_events(moves: Iterator[event_ids.StatusChange]) -> Iterator[Event]:
    for place, status, attempt in moves:
        yield Event(place.id, "status", JobTurn(status=status, attempt=attempt).model_dump_json())


def _was_queued_last(session: Session, row: Job) -> bool:
    """Return whether a job was queued again after its last attempt and then canceled or expired in the queue."""
    if row.status not in (JobStatus.CANCELED, JobStatus.EXPIRED):
        return False
    number = select(Attempt.outcome).where(Attempt.job_id == row.id, Attempt.number == row.attempt)
    return session.scalar(number) not in (Outcome.CANCELED, Outcome.EXPIRED)


class JobTurn(Output):
    """The data of a `status` event: the job changed to this status."""

    status: JobStatus
    attempt: int = Field(description="Number of attempts started.")


class JobProgress(Output):
    """The data of a `progress` event: the progress of the current attempt."""

    step: int
    steps: int
    attempt: int


class FollowHeaders(Header):
    """The headers of a request to follow a job."""

    last_event_id: str | None = Field(
        None,
        alias="Last-Event-ID",
        description="The `id` of the last event received; earlier events are not sent again. An ID that does not "
        "belong to this job is ignored.",
    )
