"""Attempts of presses at jobs, and the ledger of their costs.

Written in the transaction of the move of the job.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from common.db.clock import now_sql
from common.jobs.request import ImageRequest
from common.states.jobs import Outcome, Priority
from common.tables import Attempt

Fence = tuple[UUID, int]
"""A job and the number of an attempt at it: what every write of a press is held against."""


@dataclass(frozen=True)
class Spent:
    """What an attempt has cost so far: accelerator seconds, whole and by phase, and CPU seconds."""

    gpu_seconds: float = 0.0
    cpu_seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A press's claim of one job; the attempt number shows whether the job was taken away since."""

    job_id: UUID
    attempt: int
    press_id: UUID
    owner: str
    request: ImageRequest
    max_strikes: int
    strikes: int
    priority: Priority = Priority.INTERACTIVE
    palette: tuple[str, ...] = ()  # the colours that it is to keep to
    max_amount: Decimal | None = None  # the most that the job may be charged
    rerolls: int = 0  # how often it was printed before from other seeds, and all of it blocked

    @property
    def fence(self) -> Fence:
        """Return what identifies this claim."""
        return self.job_id, self.attempt


@dataclass(frozen=True)
class ClaimProgress:
    """How far a press has got with a claim; what it reports once a beat."""

    claim: Claim
    step: int
    spent: Spent


def record_spend(session: Session, held: Claim, spent: Spent) -> None:
    """Enter what an attempt has spent so far; an older account that arrives late changes nothing."""
    columns = {"gpu_seconds": spent.gpu_seconds, "cpu_seconds": spent.cpu_seconds, "phases": spent.phases}
    _update_attempt(session, and_(_match_attempt(held), Attempt.gpu_seconds <= spent.gpu_seconds), **columns)


def record_late_spend(session: Session, held: Claim, spent: Spent) -> None:
    """Enter what an attempt spent that no longer holds its job: waste, and the only thing it may still write."""
    record_spend(session, held, spent)
    _update_attempt(session, and_(_match_attempt(held), Attempt.outcome == Outcome.LOST), outcome=Outcome.FENCED)


def end_attempt(session: Session, held: Claim, outcome: Outcome, spent: Spent, error_code: str | None) -> None:
    """Enter how an attempt ended, in the words of the press that made it, and all that it spent."""
    record_spend(session, held, spent)
    _update_attempt(session, _match_attempt(held), outcome=outcome, error_code=error_code, ended_at=now_sql(session))


def close_attempts(session: Session, moved: Sequence[tuple[UUID, int]], outcome: Outcome) -> None:
    """End the open attempts of jobs that were taken from their presses, given as ids and attempt numbers."""
    for job_id, number in sorted(moved):
        row = and_(Attempt.job_id == job_id, Attempt.number == number, Attempt.outcome == Outcome.RUNNING)
        _update_attempt(session, row, outcome=outcome, ended_at=now_sql(session))


def count_blocked_attempts(session: Session, job_id: UUID) -> int:
    """Return how many attempts at a job ended with all of their images blocked."""
    blocked = select(func.count()).where(Attempt.job_id == job_id, Attempt.outcome == Outcome.BLOCKED)
    return session.scalars(blocked).one()


def _match_attempt(held: Claim) -> ColumnElement[bool]:
    return and_(Attempt.job_id == held.job_id, Attempt.number == held.attempt)


def _update_attempt(session: Session, where: ColumnElement[bool], **columns: Any) -> None:
    # Usage sums what attempts have spent: one that changes after its job has ended has to be summed again.
    changed = update(Attempt).where(where).values(**columns, is_booked=False)
    session.execute(changed.execution_options(synchronize_session=False))
