"""``/v1/jobs/{id}/attempts``: how often presses tried a job, and why each try ended."""

from typing import Literal
from uuid import UUID

from flask import Response
from pydantic import Field
from sqlalchemy import select

from api.auth.bearer import caller, needs
from api.jobs import queries
from api.jobs.schemas import JobPath
from api.runtime.context import services
from api.web import responses
from api.web.output import Output, Time
from common import tables
from common.keys import Scope
from common.tables.states import Outcome


class JobAttempt(Output):
    """One press's try at a job."""

    number: int = Field(description="It only grows; images say which attempt made them.")
    press_id: UUID
    outcome: Outcome = Field(description="Why it ended; all but `succeeded` are waste under that name.")
    error_code: str | None = Field(description="The code of the error that ended it, if one did.")
    gpu_seconds: float
    phases: dict[str, float] = Field(description="Accelerator seconds by phase: encode, denoise, decode.")
    started_at: Time
    ended_at: Time | None


class JobAttemptList(Output):
    """All attempts at a job, the first first."""

    object: Literal["list"] = "list"
    data: list[JobAttempt]


blueprint = responses.create_blueprint("attempts", "The tries of presses at a job.", "/v1/jobs")


@blueprint.get("/<job_id>/attempts", **responses.describe(Scope.JOBS_READ, {200: JobAttemptList}, 404))
@needs(Scope.JOBS_READ)
def list_attempts(path: JobPath) -> Response:
    """List the attempts at a job: what each spent, and why it ended."""
    with services().database.reading() as session:
        job = queries.find_job(session, caller().owner, path.job_id)
        query = select(tables.Attempt).where(tables.Attempt.job_id == job.id).order_by(tables.Attempt.number)
        shown = [_show(row) for row in session.scalars(query)]
    return responses.answer(JobAttemptList(data=shown))


def _show(row: tables.Attempt) -> JobAttempt:
    return JobAttempt(
        number=row.number,
        press_id=row.press_id,
        outcome=row.outcome,
        error_code=row.error_code,
        gpu_seconds=row.gpu_seconds,
        phases=row.phases,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
