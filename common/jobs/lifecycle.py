"""The job state machine, from submission to the final state; the only module that writes ``Job.status``.

Every move is one guarded UPDATE on the database's clock: it names the states it may start from and, while a press
works, the attempt it speaks for. A move that changes no row has not happened. The webhook events of a
move are enqueued in the same transaction, which is the caller's.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from random import uniform
from typing import Any, cast
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Table, and_, case, func, insert, or_, select, update
from sqlalchemy.orm import Session

from common.db.clock import StatementTime, now_sql
from common.errors import FencedError, IllegalTransitionError, JobUnreadableError, PressroomError, QueueFullError
from common.jobs import attempts, fair_queue, key_policy, webhook_events
from common.jobs.attempts import Claim, ClaimProgress, Fence, Spent
from common.jobs.conditions import OPEN, RUNNING
from common.jobs.fair_queue import FairQueue
from common.jobs.spec import JobSpec, rename_to_columns
from common.safety.policy import Recourse
from common.states.jobs import JobStatus, Outcome, Priority, list_job_source_statuses
from common.tables import Attempt, Image, Job, Press
from common.usage import meter_readings

BACKOFF_SECONDS = 2.0
"""Wait before the second attempt after a transient error; it doubles with each further one, ± a quarter."""


_INSERT = insert(cast("Table", Job.__table__))  # the class would take the long way of the ORM
_INITIAL_VALUES = {"status": JobStatus.QUEUED, "attempt": 0, "strikes": 0, "progress_step": 0}


def submit_job(session: Session, spec: JobSpec, max_queued: int) -> Job:
    """Queue one job; raise QueueFullError when its owner has *max_queued* in the queue already."""
    jobs = submit_jobs(session, [spec], max_queued)
    if not jobs:
        raise QueueFullError
    return jobs[spec.id]


def submit_jobs(session: Session, specs: Sequence[JobSpec], max_queued: int) -> dict[UUID, Job]:
    """Queue *specs* as if one after the other; return their jobs by id, without those that found no room.

    An owner has room for *max_queued* jobs in the queue; those of campaigns neither need nor take any of it. The jobs
    are copies: the session does not know them.
    """
    queue = FairQueue(session, max_queued)
    slots = ((spec, queue.assign(spec)) for spec in specs)
    rows = {spec.id: _INITIAL_VALUES | spec.to_row(slot.tag, slot.moment) for spec, slot in slots if slot is not None}
    if rows:
        session.connection().execute(_INSERT, [rename_to_columns(row) for row in rows.values()])
    return {job_id: Job(**row) for job_id, row in rows.items()}


def claim_job(
    session: Session,
    press_id: UUID,
    models: Collection[str],
    warm_lanes: Collection[str],
    priorities: Collection[Priority] = tuple(Priority),
    *,
    lease: timedelta,
    max_strikes: int,
    excluded: Collection[UUID] = (),
) -> Claim | None:
    """Take the best due job for *lease*, count a strike and open its attempt; None when nothing but *excluded* is due.

    Raises JobUnreadableError for one that a newer version has written; the caller's transaction must not commit then.
    """
    job_id = fair_queue.choose_job(session, models, warm_lanes, priorities, excluded)
    if job_id is None:
        return None
    moved = _transition_jobs(
        session,
        JobStatus.RUNNING,
        Job.id == job_id,
        attempt=Job.attempt + 1,
        strikes=Job.strikes + 1,
        press_id=press_id,
        lease_until=now_sql(session, lease),
        progress_step=0,
        started_at=func.coalesce(Job.started_at, now_sql(session)),
    )
    if not moved:
        return None
    job = session.get_one(Job, job_id, populate_existing=True)
    session.add(Attempt(job_id=job.id, number=job.attempt, press_id=press_id, started_at=now_sql(session)))
    webhook_events.publish_job_event(session, JobStatus.RUNNING, [job.id])
    try:
        request = key_policy.load_request(session, job)
    except ValidationError as error:
        raise JobUnreadableError(job.id) from error
    rerolls = 0
    if request.safety is not None and request.safety.on_block is Recourse.REROLL:
        rerolls = attempts.count_blocked_attempts(session, job.id)
        request = request.reroll(rerolls)
    return Claim(
        job.id,
        job.attempt,
        press_id,
        job.owner,
        request,
        max_strikes,
        job.strikes,
        job.priority,
        palette=tuple(job.palette or ()),
        max_amount=job.max_amount,
        rerolls=rerolls,
    )


def defer_job(session: Session, job_id: UUID, wait: timedelta) -> None:
    """Have a queued job claimed by nobody for so long."""
    queued = update(Job).where(Job.id == job_id, Job.status == JobStatus.QUEUED)
    session.execute(queued.values(due_at=now_sql(session, wait)).execution_options(synchronize_session=False))


def record_heartbeat(
    session: Session, press_id: UUID, holdings: Sequence[ClaimProgress], lease: timedelta, clock: dict[str, Any]
) -> set[Fence]:
    """Extend the lease of all that a press holds and book what it has spent; return the attempts that still hold.

    One that is missing from the answer was cancelled, has expired or was taken away: its press must stop it.
    *clock* holds the press's own columns: its ``fault``, ``busy_seconds``, ``cpu_seconds``, ``overhead`` and
    ``energy_joules``.
    """
    meter_readings.record_reading(session, press_id)
    session.execute(update(Press).where(Press.id == press_id).values(heartbeat_at=now_sql(session), **clock))
    if not holdings:
        return set()
    # A press that was paused for long may hold an old attempt at a job beside a new one of its own.
    ordered = sorted(holdings, key=lambda holding: holding.claim.fence)
    held = or_(*(_match_claim(holding.claim) for holding in ordered))
    # Several rows are always locked by id, and jobs before their attempts: any other order could deadlock.
    session.execute(select(Job.id).where(held).order_by(Job.id).with_for_update())
    steps = {holding.claim.job_id: holding.step for holding in ordered}
    rows = session.execute(
        update(Job)
        .where(Job.status == JobStatus.RUNNING, held)
        .values(lease_until=now_sql(session, lease), progress_step=case(steps, value=Job.id, else_=Job.progress_step))
        .returning(Job.id, Job.attempt)
        .execution_options(synchronize_session=False)
    ).all()
    for holding in ordered:
        attempts.record_spend(session, holding.claim, holding.spent)
    return {(row.id, row.attempt) for row in rows}


def succeed_job(session: Session, held: Claim, images: Sequence[Image], spent: Spent) -> None:
    """Publish the images of an attempt; raise FencedError, having changed nothing, if the attempt has lost the job."""
    _finish_job(session, held, JobStatus.SUCCEEDED, Outcome.SUCCEEDED, spent, progress_step=Job.steps)
    session.add_all(images)
    webhook_events.publish_job_event(session, JobStatus.SUCCEEDED, [held.job_id])


def block_job(session: Session, held: Claim, images: Sequence[Image], spent: Spent) -> None:
    """End a job of whose images the checker let none through; raise FencedError like ``succeed``."""
    fault = {"error_code": "content_blocked", "error_message": "The safety check blocked every image of this job."}
    _finish_job(session, held, JobStatus.FAILED, Outcome.BLOCKED, spent, error_retryable=False, **fault)
    session.add_all(images)
    webhook_events.publish_job_event(session, JobStatus.FAILED, [held.job_id])


def reroll_job(session: Session, held: Claim, spent: Spent) -> None:
    """Have a job printed again from other seeds, its strike given back: all of this attempt was blocked, so waste."""
    _requeue_attempt(
        session, held, Outcome.BLOCKED, spent, "content_blocked", strikes=Job.strikes - 1, due_at=now_sql(session)
    )


def fail_job(session: Session, held: Claim, error: PressroomError, spent: Spent) -> JobStatus:
    """End an attempt by *error*: back to the queue if it is worth another try, else for good. Raises FencedError."""
    if error.retryable and held.strikes < held.max_strikes:
        wait = BACKOFF_SECONDS * 2 ** (held.strikes - 1) * uniform(0.75, 1.25)  # noqa: S311  (jitter, not a secret)
        _requeue_attempt(
            session, held, Outcome.RETRIED, spent, error.code, due_at=now_sql(session, timedelta(seconds=wait))
        )
        return JobStatus.QUEUED
    fault = {"error_code": error.code, "error_message": error.message, "error_retryable": error.retryable}
    _finish_job(session, held, JobStatus.FAILED, Outcome.FAILED, spent, **fault)
    webhook_events.publish_job_event(session, JobStatus.FAILED, [held.job_id])
    return JobStatus.FAILED


def release_job(session: Session, held: Claim, spent: Spent) -> None:
    """Give a job back unfinished, its strike with it: the press is leaving, and the job is not at fault."""
    _requeue_attempt(session, held, Outcome.RELEASED, spent, None, strikes=Job.strikes - 1)


def cancel_job(session: Session, job: Job) -> None:
    """Cancel *job* at once; raise IllegalTransitionError when it has ended already."""
    moved = _transition_jobs(
        session, JobStatus.CANCELED, Job.id == job.id, finished_at=now_sql(session), lease_until=None
    )
    if not moved:
        session.refresh(job)
        raise IllegalTransitionError(f"The job is already {job.status} and cannot be canceled.")
    attempts.close_attempts(session, moved, Outcome.CANCELED)
    webhook_events.publish_job_event(session, JobStatus.CANCELED, [job.id])
    session.refresh(job)


def return_unprinted_job(session: Session, held: Claim, error: PressroomError, spent: Spent) -> None:
    """Give a job back, its strike with it, because of *error*, which the service caused and not the job."""
    _requeue_attempt(session, held, Outcome.RETRIED, spent, error.code, strikes=Job.strikes - 1)


def cancel_queued_jobs(session: Session, job_ids: Collection[UUID]) -> list[UUID]:
    """Cancel those of some jobs that no press has in hand; return which."""
    queued = select(Job.id).where(Job.id.in_(job_ids), Job.status == JobStatus.QUEUED).order_by(Job.id)
    moved = _transition_jobs(
        session, JobStatus.CANCELED, Job.id.in_(queued.with_for_update()), finished_at=now_sql(session)
    )
    webhook_events.publish_job_event(session, JobStatus.CANCELED, [job_id for job_id, _ in moved])
    return [job_id for job_id, _ in moved]


def expire_due_jobs(session: Session) -> int:
    """Expire every job, queued or running, whose deadline has passed; return how many."""
    late = _select_unlocked(OPEN, Job.deadline_at.is_not(None), Job.deadline_at <= StatementTime())
    fault = {"error_code": "deadline_exceeded", "error_message": "The job's deadline passed.", "error_retryable": False}
    moved = _transition_jobs(session, JobStatus.EXPIRED, late, finished_at=now_sql(session), lease_until=None, **fault)
    attempts.close_attempts(session, moved, Outcome.EXPIRED)
    webhook_events.publish_job_event(session, JobStatus.EXPIRED, [job_id for job_id, _ in moved])
    return len(moved)


def requeue_lost_jobs(session: Session, max_strikes: int) -> tuple[int, int]:
    """Take back every job whose lease has run out; return how many were queued again and how many given up.

    A job that lost *max_strikes* attempts this way is taken to be the cause, and fails with ``worker_lost``.
    """
    silent = _select_unlocked(RUNNING, Job.lease_until.is_not(None), Job.lease_until < StatementTime())
    fault = {
        "error_code": "worker_lost",
        "error_message": f"The job failed after {max_strikes} attempts whose press died or stopped responding.",
        "error_retryable": True,
        "finished_at": now_sql(session),
        "lease_until": None,
    }
    given_up = _transition_jobs(session, JobStatus.FAILED, silent, Job.strikes >= max_strikes, **fault)
    again = {"due_at": now_sql(session), "lease_until": None, "press_id": None, "progress_step": 0}
    queued = _transition_jobs(session, JobStatus.QUEUED, silent, **again)
    attempts.close_attempts(session, [*given_up, *queued], Outcome.LOST)
    webhook_events.publish_job_event(session, JobStatus.FAILED, [job_id for job_id, _ in given_up])
    return len(queued), len(given_up)


def _finish_job(
    session: Session, held: Claim, target: JobStatus, outcome: Outcome, spent: Spent, **values: Any
) -> None:
    if not _transition_jobs(
        session, target, _match_claim(held), finished_at=now_sql(session), lease_until=None, **values
    ):
        raise FencedError
    attempts.end_attempt(session, held, outcome, spent, values.get("error_code"))


def _requeue_attempt(
    session: Session, held: Claim, outcome: Outcome, spent: Spent, error_code: str | None, **values: Any
) -> None:
    if not _transition_jobs(
        session, JobStatus.QUEUED, _match_claim(held), lease_until=None, press_id=None, progress_step=0, **values
    ):
        raise FencedError
    attempts.end_attempt(session, held, outcome, spent, error_code)


def _transition_jobs(
    session: Session, target: JobStatus, *where: ColumnElement[bool], **values: Any
) -> list[tuple[UUID, int]]:
    """Move every job that *where* selects and that may go to *target*; return their ids and attempts."""
    rows = session.execute(
        update(Job)
        .where(Job.status.in_(list_job_source_statuses(target)), *where)
        .values(status=target, **values)
        .returning(Job.id, Job.attempt)
        .execution_options(synchronize_session=False)
    )
    return [(row.id, row.attempt) for row in rows]


def _select_unlocked(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Select the jobs that nobody moves just now; a sweep need not wait, for it comes round again.

    Exclude what is null from a range: SQLite does not use an index for a range with one end.
    """
    free = select(Job.id).where(*where).order_by(Job.id)
    return Job.id.in_(free.with_for_update(skip_locked=True))


def _match_claim(held: Claim) -> ColumnElement[bool]:
    return and_(Job.id == held.job_id, Job.attempt == held.attempt, Job.status == JobStatus.RUNNING)
