"""``/v1/jobs``: create, list, get, cancel and retry jobs."""

from functools import partial

from flask import Response, request

from api.auth.bearer import current_caller, scope_required
from api.jobs import prepare, queries, serializers
from api.jobs.schemas import Job, JobList, JobPath, JobQuery, NewJob, NewJobHeaders
from api.jobs.submit import Created, submit_job
from api.runtime.context import current_context
from api.runtime.long_poll import parse_preference, wait_for_job
from api.server.exchange import Exchange
from api.web import responses
from common.access.keys import Scope
from common.clock import utcnow
from common.jobs import lifecycle, search
from common.jobs.search import JobFilter
from common.states.jobs import JobStatus

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
    created = submit_job(prepare.prepare_job(body), header.idempotency_key, request.get_json())
    return _respond_submitted(created, header.prefer)


@blueprint.get("", **responses.describe_route(Scope.JOBS_READ, {200: JobList}, 400, 422))
@scope_required(Scope.JOBS_READ)
def list_jobs(query: JobQuery) -> Response:
    """List jobs, newest first."""
    context, owner = current_context(), current_caller().owner
    wanted = JobFilter(status=query.status, model=query.model)
    with context.database.reading() as session:
        page = context.cursors.found(owner, query, partial(search.search_jobs, session, owner, wanted))
        shown = serializers.serialize_jobs(session, page.rows, context)
    return responses.respond_json(JobList(data=shown, has_more=page.has_more, next=page.next))


@blueprint.get("/<job_id>", **responses.describe_route(Scope.JOBS_READ, {200: Job, 304: None}, 404))
@scope_required(Scope.JOBS_READ)
def get_job(path: JobPath) -> Response:
    """Get a job. Use `If-None-Match` for efficient polling."""
    context = current_context()
    with context.database.reading() as session:
        row = queries.load_job(session, current_caller().owner, path.job_id)
        shown = serializers.serialize_job(session, row, context)
    shown = serializers.tell_prompt_tokens(shown, context)
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
    return _respond_submitted(submit_job(prepare.prepare_retry(row), header.idempotency_key, None), header.prefer)


def _respond_submitted(created: Created[Job], prefer: str | None) -> Response:
    """Return a submitted job, after the wait that the client prefers."""
    context, owner, shown = current_context(), current_caller().owner, created.resource
    headers = {"Location": f"{context.path_prefix}/v1/jobs/{shown.id}"}
    if not created.is_new:
        headers["Idempotency-Replayed"] = "true"
    seconds = parse_preference(prefer or "")
    if seconds:
        Exchange.of(request.environ).leave_turn()
    if seconds and wait_for_job(context.waiting_room, context.database, owner, shown.id, seconds):
        headers["Preference-Applied"] = f"wait={seconds}"
        with context.database.reading() as session:
            row = queries.load_job(session, owner, shown.id)
            shown = serializers.serialize_job(session, row, context)
    if shown.status.is_terminal:
        return responses.respond_json(shown, 200, headers)
    shown = serializers.tell_prompt_tokens(shown, context)
    return responses.respond_json(shown, 202, headers | {"Retry-After": str(POLL_SECONDS)})
