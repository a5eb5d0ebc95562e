"""``/v1/jobs``: make jobs, look at them, cancel them, ask again for the same."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import Response, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.auth.bearer import caller, needs
from api.jobs import prepare, queries, retry, serializers
from api.jobs.prepare import place
from api.jobs.schemas import Job, JobList, JobPath, JobQuery, NewJob, NewJobHeaders
from api.jobs.submit import submit
from api.runtime.context import services
from api.runtime.long_poll import parse_preference
from api.web import responses
from api.web.errors import RefusedError
from common import tables
from common.clock import utcnow
from common.jobs import lifecycle
from common.jobs.spec import Order
from common.keys import Scope
from common.tables.states import JobStatus

blueprint = responses.create_blueprint("jobs", "Orders for images.", "/v1/jobs")

MAKES_JOB = {
    202: responses.describe_success(
        Job,
        "The job was accepted",
        {
            "Location": "Where to look at the job.",
            "Retry-After": "Seconds after which looking again is worth while.",
            "Idempotency-Replayed": "`true`: this job was made by an earlier request with the same key.",
        },
    ),
    200: responses.describe_success(
        Job, "The job has ended", {"Location": "Where to look at the job.", "Preference-Applied": "The wait heeded."}
    ),
}
POLL_SECONDS = 1


@blueprint.post("", **responses.describe(Scope.JOBS_WRITE, MAKES_JOB, 400, 408, 409, 413, 415, 422, 429))
@needs(Scope.JOBS_WRITE)
def create_job(header: NewJobHeaders, body: NewJob) -> Response:
    """Make a job."""
    return _answer_new(header, place(body), request.get_json())


@blueprint.get("", **responses.describe(Scope.JOBS_READ, {200: JobList}, 400, 422))
@needs(Scope.JOBS_READ)
def list_jobs(query: JobQuery) -> Response:
    """List jobs, the newest first."""
    context, owner = services(), caller().owner
    after = None
    if query.cursor is not None and (after := context.cursors.read(owner, query.cursor)) is None:
        raise RefusedError("invalid_cursor", "Use the `next` of a page of this list, unchanged.")
    with context.database.reading() as session:
        rows = queries.list_jobs(
            session, owner, status=query.status, model=query.model, after=after, limit=query.limit + 1
        )
        page, has_more = rows[: query.limit], len(rows) > query.limit
        shown = serializers.show_jobs(session, page, context)
    following = context.cursors.write(owner, page[-1].id) if has_more else None
    return responses.answer(JobList(data=shown, has_more=has_more, next=following))


@blueprint.get("/<job_id>", **responses.describe(Scope.JOBS_READ, {200: Job, 304: None}, 404))
@needs(Scope.JOBS_READ)
def get_job(path: JobPath) -> Response:
    """Look at a job; with `If-None-Match`, cheaply again and again."""
    context = services()
    with context.database.reading() as session:
        row = queries.find_job(session, caller().owner, path.job_id)
        shown = serializers.show_job(session, row, context)
    # Links change with every look and expire: the version leaves them out, and changes in time to renew them.
    renewal = int(utcnow().timestamp()) // (context.settings.link_seconds // 2) if shown.images else 0
    fixed = shown.model_dump_json(exclude={"images": {"__all__": {"url", "thumbnail_url", "url_expires_at"}}})
    return responses.answer_if_changed(shown, f"{renewal} {fixed}")


@blueprint.post("/<job_id>/cancel", **responses.describe(Scope.JOBS_WRITE, {200: Job}, 404, 409))
@needs(Scope.JOBS_WRITE)
def cancel_job(path: JobPath) -> Response:
    """Cancel a job at once; its press stops within a step and about a second. Canceling it again changes nothing."""
    context = services()
    with context.database.transaction() as session:
        row = queries.find_job(session, caller().owner, path.job_id)
        if row.status is not JobStatus.CANCELED:
            lifecycle.cancel(session, row)
    with context.database.reading() as session:
        return responses.answer(serializers.show_job(session, row, context))


@blueprint.post("/<job_id>/retry", **responses.describe(Scope.JOBS_WRITE, MAKES_JOB, 400, 404, 409, 422, 429))
@needs(Scope.JOBS_WRITE)
def retry_job(path: JobPath, header: NewJobHeaders) -> Response:
    """Make a new job with the request, seed included, of one that has ended."""
    context = services()
    with context.database.reading() as session:
        row = queries.find_job(session, caller().owner, path.job_id)
    return _answer_new(header, prepare.admit(retry.repeat(row)), None)


def _answer_new(header: NewJobHeaders, order: Order, body: Any) -> Response:
    context = services()
    job_id, shown = submit(order, header.idempotency_key, body)
    headers = {"Location": f"{context.path_prefix}/v1/jobs/{job_id}"}
    if shown is None:
        headers["Idempotency-Replayed"] = "true"
    seconds = parse_preference(header.prefer or "")
    if seconds and context.waiting_room.wait(_is_over(job_id), seconds):
        headers["Preference-Applied"] = f"wait={seconds}"
        shown = None
    if shown is None:
        with context.database.reading() as session:
            row = queries.find_job(session, order.owner, job_id)
            shown = serializers.show_job(session, row, context)
    if shown.status.is_terminal:
        return responses.answer(shown, 200, headers)
    return responses.answer(shown, 202, headers | {"Retry-After": str(POLL_SECONDS)})


def _is_over(job_id: UUID) -> Callable[[], bool]:
    database = services().database

    def look() -> bool:
        with database.reading() as session:
            status = _status_of(session, job_id)
        return status is None or status.is_terminal

    return look


def _status_of(session: Session, job_id: UUID) -> JobStatus | None:
    return session.scalar(select(tables.Job.status).where(tables.Job.id == job_id))
