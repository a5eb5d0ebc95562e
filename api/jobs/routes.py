"""``/v1/jobs``: create, list, get, cancel and retry jobs."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import Response, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.auth.bearer import current_caller, scope_required
from api.jobs import prepare, queries, retry, serializers
from api.jobs.prepare import resolve_job
from api.jobs.schemas import Job, JobList, JobPath, JobQuery, NewJob, NewJobHeaders
from api.jobs.submit import submit_job
from api.runtime.context import current_context
from api.runtime.long_poll import parse_preference
from api.web import responses
from api.web.errors import RefusedError
from common import tables
from common.clock import utcnow
from common.jobs import lifecycle
from common.jobs.spec import JobSpec
from common.keys import Scope
from common.tables.states import JobStatus

blueprint = responses.create_blueprint("jobs", "Image generation jobs.", "/v1/jobs")

ACCEPTED = {
    202: responses.describe_success(
        Job,
        "The job was accepted",
        {
            "Location": "URL of the job.",
            "Retry-After": "Suggested polling interval in seconds.",
            "Idempotency-Replayed": "`true` if an earlier request with the same key created this job.",
        },
    ),
    200: responses.describe_success(
        Job,
        "The job has ended",
        {"Location": "URL of the job.", "Preference-Applied": "The `wait` preference that was applied."},
    ),
}
POLL_SECONDS = 1


@blueprint.post("", **responses.describe_route(Scope.JOBS_WRITE, ACCEPTED, 400, 408, 409, 413, 415, 422, 429))
@scope_required(Scope.JOBS_WRITE)
def create_job(header: NewJobHeaders, body: NewJob) -> Response:
    """Create a job."""
    return _respond_new_job(header, resolve_job(body), request.get_json())


@blueprint.get("", **responses.describe_route(Scope.JOBS_READ, {200: JobList}, 400, 422))
@scope_required(Scope.JOBS_READ)
def list_jobs(query: JobQuery) -> Response:
    """List jobs, newest first."""
    context, owner = current_context(), current_caller().owner
    after = None
    if query.cursor is not None and (after := context.cursors.read(owner, query.cursor)) is None:
        raise RefusedError("invalid_cursor", "Use the unmodified `next` value of a page of this list.")
    with context.database.reading() as session:
        rows = queries.list_jobs(
            session, owner, status=query.status, model=query.model, after=after, limit=query.limit + 1
        )
        page, has_more = rows[: query.limit], len(rows) > query.limit
        shown = serializers.serialize_jobs(session, page, context)
    following = context.cursors.write(owner, page[-1].id) if has_more else None
    return responses.respond_json(JobList(data=shown, has_more=has_more, next=following))


@blueprint.get("/<job_id>", **responses.describe_route(Scope.JOBS_READ, {200: Job, 304: None}, 404))
@scope_required(Scope.JOBS_READ)
def get_job(path: JobPath) -> Response:
    """Get a job. Use `If-None-Match` for efficient polling."""
    context = current_context()
    with context.database.reading() as session:
        row = queries.load_job(session, current_caller().owner, path.job_id)
        shown = serializers.serialize_job(session, row, context)
    # Links differ in every response and expire: the ETag ignores them, but changes in time to renew them.
    renewal = int(utcnow().timestamp()) // (context.settings.link_seconds // 2) if shown.images else 0
    fixed = shown.model_dump_json(exclude={"images": {"__all__": {"url", "thumbnail_url", "url_expires_at"}}})
    return responses.respond_json_if_changed(shown, f"{renewal} {fixed}")


@blueprint.post("/<job_id>/cancel", **responses.describe_route(Scope.JOBS_WRITE, {200: Job}, 404, 409))
@scope_required(Scope.JOBS_WRITE)
def cancel_job(path: JobPath) -> Response:
    """Cancel a job immediately. Its press stops within one step and about a second. The call is idempotent."""
    context = current_context()
    with context.database.transaction() as session:
        row = queries.load_job(session, current_caller().owner, path.job_id)
        if row.status is not JobStatus.CANCELED:
            lifecycle.cancel_job(session, row)
    with context.database.reading() as session:
        return responses.respond_json(serializers.serialize_job(session, row, context))


@blueprint.post("/<job_id>/retry", **responses.describe_route(Scope.JOBS_WRITE, ACCEPTED, 400, 404, 409, 422, 429))
@scope_required(Scope.JOBS_WRITE)
def retry_job(path: JobPath, header: NewJobHeaders) -> Response:
    """Create a new job with the same request as a finished job, including its seed."""
    context = current_context()
    with context.database.reading() as session:
        row = queries.load_job(session, current_caller().owner, path.job_id)
    return _respond_new_job(header, prepare.apply_policy(retry.build_retry_spec(row)), None)


def _respond_new_job(header: NewJobHeaders, order: JobSpec, body: Any) -> Response:
    context = current_context()
    job_id, shown = submit_job(order, header.idempotency_key, body)
    headers = {"Location": f"{context.path_prefix}/v1/jobs/{job_id}"}
    if shown is None:
        headers["Idempotency-Replayed"] = "true"
    seconds = parse_preference(header.prefer or "")
    if seconds and context.waiting_room.wait(_is_over(job_id), seconds):
        headers["Preference-Applied"] = f"wait={seconds}"
        shown = None
    if shown is None:
        with context.database.reading() as session:
            row = queries.load_job(session, order.owner, job_id)
            shown = serializers.serialize_job(session, row, context)
    if shown.status.is_terminal:
        return responses.respond_json(shown, 200, headers)
    return responses.respond_json(shown, 202, headers | {"Retry-After": str(POLL_SECONDS)})


def _is_over(job_id: UUID) -> Callable[[], bool]:
    database = current_context().database

    def look() -> bool:
        with database.reading() as session:
            status = _fetch_status(session, job_id)
        return status is None or status.is_terminal

    return look


def _fetch_status(session: Session, job_id: UUID) -> JobStatus | None:
    return session.scalar(select(tables.Job.status).where(tables.Job.id == job_id))
