"""``/v1/jobs/{id}/attempts``: list the attempts at a job and their outcomes."""

from typing import Literal
from uuid import UUID

from flask import Response
from pydantic import Field
from sqlalchemy import select

from api.auth.bearer import current_caller, scope_required
from api.jobs import queries
from api.jobs.schemas import JobPath
from api.runtime.context import current_context
from api.web import responses
from api.web.output import Output, Time
from common import tables
from common.access.keys import Scope
from common.states.jobs import Outcome


class JobAttempt(Output):
    """An attempt by a press to run a job."""

    number: int = Field(description="Attempt number; it only increases.")
    press_id: UUID
    outcome: Outcome = Field(
        description="Outcome of the attempt; every outcome except `succeeded` is counted as waste under that name."
    )
    error_code: str | None = Field(description="Code of the error that ended the attempt, if any.")
    gpu_seconds: float
    phases: dict[str, float] = Field(description="Accelerator seconds by phase: `encode`, `denoise`, `decode`.")
    started_at: Time
    ended_at: Time | None


class JobAttemptList(Output):
    """All attempts at a job, oldest first."""

    object: Literal["list"] = "list"
    data: list[JobAttempt]


blueprint = responses.create_blueprint("attempts", "Attempts by presses to run a job.", "/v1/jobs")


@blueprint.get("/<job_id>/attempts", **responses.describe_route(Scope.JOBS_READ, {200: JobAttemptList}, 404))
@scope_required(Scope.JOBS_READ)
def list_attempts(path: JobPath) -> Response:
    """List the attempts at a job, with the accelerator time and outcome of each."""
    with current_context().database.reading() as session:
        job = queries.load_job(session, current_caller().owner, path.job_id)
        query = select(tables.Attempt).where(tables.Attempt.job_id == job.id).order_by(tables.Attempt.number)
        shown = [_serialize_attempt(row) for row in session.scalars(query)]
    return responses.respond_json(JobAttemptList(data=shown))


def _serialize_attempt(row: tables.Attempt) -> JobAttempt:
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
