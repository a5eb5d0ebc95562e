"""``/v1/jobs/{id}/attempts``: how often presses tried a job, and why each try ended."""

from flask import Response
from sqlalchemy import select

from api import records
from api.auth.bearer import caller, needs
from api.runtime.context import services
from api.schemas.attempts import JobAttempt, JobAttemptList
from api.schemas.jobs import JobPath
from api.web import responses
from common import tables
from common.keys import Scope

blueprint = responses.create_blueprint("attempts", "The tries of presses at a job.", "/v1/jobs")


@blueprint.get("/<job_id>/attempts", **responses.describe(Scope.JOBS_READ, {200: JobAttemptList}, 404))
@needs(Scope.JOBS_READ)
def list_attempts(path: JobPath) -> Response:
    """List the attempts at a job: what each spent, and why it ended."""
    with services().database.reading() as session:
        job = records.find_job(session, caller().owner, path.job_id)
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
