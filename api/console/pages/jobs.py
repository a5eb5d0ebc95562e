"""Jobs: a filterable list, and a page per job with its timeline and cost."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import request
from sqlalchemy import select
from werkzeug.wrappers import Response

from api.auth.bearer import current_caller
from api.console.access import current_user
from api.console.notes import BulkCount
from api.console.pages import job_timeline
from api.console.pages.code_snippets import render_snippets
from api.console.query_params import (
    decode_cursor,
    encode_cursor,
    read_choice,
    read_day,
    read_filters,
    read_ids,
    read_text,
)
from api.console.rendering import render_live_fragment, render_page
from api.console.routing import FormPage, register_page
from api.console.urls import redirect_to
from api.images import queries
from api.jobs import prepare, queries as job_queries, serializers
from api.jobs.submit import submit_job
from api.runtime.context import current_context
from api.web.validation import refuse_not_found
from common.access.keys import Scope
from common.db.ids import parse_id
from common.db.pages import READ_THROUGH
from common.errors import DatabaseUnavailableError, IllegalTransitionError, PressroomError, StorageError
from common.jobs import lifecycle, search
from common.jobs.search import JobFilter
from common.states.jobs import JobStatus, Priority
from common.tables import Attempt
from common.webhooks import delivery_log

PAGE_SIZE = 50
UNAVAILABLE = (DatabaseUnavailableError.code, StorageError.code)
"""Errors of the service, which no other job would escape."""

FILTERS = ("status", "model", "priority", "since", "until", "words")


@register_page("/jobs", Scope.JOBS_READ)
def list_jobs() -> Response:
    """List jobs, newest first; searching for an id redirects to that job."""
    context, words = current_context(), read_text("words")
    job_id = parse_id(words)
    if job_id is not None:
        return redirect_to("jobs:show_job", job_id=job_id)
    wanted = JobFilter(
        status=read_choice("status", JobStatus),
        model=read_text("model", 64) or None,
        priority=read_choice("priority", Priority),
        since=read_day("since"),
        until=read_day("until", after=True),
        words=words,
    )
    with context.database.reading() as session:
        found = search.search_jobs(
            session, current_caller().owner, wanted, after=decode_cursor("jobs"), limit=PAGE_SIZE
        )
        images = queries.list_images_by_job(session, found.rows)
    return render_page(
        "jobs/list.html",
        rows=found.rows,
        amounts={job_id: serializers.sum_cost(each, context) for job_id, each in images.items()},
        next=encode_cursor("jobs", found.next_after),
        filters=read_filters(*FILTERS),
        models=[card.name for card in context.models.cards()],
        statuses=[*JobStatus],
        priorities=[*Priority],
        searched=READ_THROUGH,
    )


@register_page("/jobs/chosen", Scope.JOBS_WRITE, post=True, form=FormPage("jobs:list_jobs"))
def change_jobs() -> Response:
    """Cancel or retry the selected jobs, and say of how many it was possible."""
    act, chosen_ids, filters = request.form.get("act", ""), read_ids("job", PAGE_SIZE), read_filters(*FILTERS)
    if act not in BULK_ACTS:
        raise refuse_not_found()
    if not chosen_ids:
        return redirect_to("jobs:list_jobs", note="no-jobs-chosen", **filters)
    change_job, note = BULK_ACTS[act]
    count = BulkCount()
    for job_id in chosen_ids:
        try:
            change_job(job_id)
            count.add_done()
        except PressroomError as error:
            if error.code in UNAVAILABLE:
                raise
            count.add_left(error)
    return redirect_to("jobs:list_jobs", note=note, **count.to_query(), **filters)


@register_page("/jobs/<job_id>", Scope.JOBS_READ)
def show_job(job_id: str) -> Response:
    """Show a job."""
    return render_page("jobs/job.html", **_load_job_values(job_id))


@register_page("/jobs/<job_id>/now", Scope.JOBS_READ, live=True)
def show_job_now(job_id: str) -> Response:
    """Return the live part of a job's page, or 304 if it has not changed."""
    found = _load_job_values(job_id)
    version = repr([found["job"].model_dump(exclude={"images"}), len(found["moments"]), found["attempts"]])
    return render_live_fragment("jobs/now.html", version, **found)


@register_page("/jobs/<job_id>/cancel", Scope.JOBS_WRITE, post=True, form=FormPage("jobs:show_job"))
def cancel_job(job_id: str) -> Response:
    """Cancel a job; nothing happens to one that has ended."""
    try:
        _cancel_chosen(_parse_job_id(job_id))
    except IllegalTransitionError:
        return redirect_to("jobs:show_job", job_id=job_id, note="job-over")
    return redirect_to("jobs:show_job", job_id=job_id, note="job-canceled")


@register_page("/jobs/<job_id>/retry", Scope.JOBS_WRITE, post=True, form=FormPage("jobs:show_job"))
def retry_job(job_id: str) -> Response:
    """Create a new job from one that has ended."""
    return redirect_to("jobs:show_job", job_id=_retry_chosen(_parse_job_id(job_id)), note="job-made")


def _load_job_values(text: str) -> dict[str, Any]:
    context, job_id = current_context(), _parse_job_id(text)
    with context.database.reading() as session:
        row = job_queries.load_job(session, current_caller().owner, job_id)
        job = serializers.serialize_job(session, row, context)
        attempts = session.scalars(select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.number)).all()
        messages = []
        if current_user().may(Scope.WEBHOOKS_READ):
            messages = delivery_log.list_job_messages(session, current_caller().owner, job_id)
        tries = delivery_log.load_attempts(session, messages)
    return {
        "job": serializers.tell_prompt_tokens(job, context),
        "attempts": [_serialize_attempt(attempt) for attempt in attempts],
        "moments": job_timeline.build_timeline(row, attempts, job.images, messages, tries),
        "recipes": render_snippets(job.request, job.palette, context.settings.base_url),
    }


def _serialize_attempt(row: Attempt) -> dict[str, Any]:
    """Return the fields of an attempt to show; its phases add up to its accelerator time."""
    return {
        "number": row.number,
        "outcome": row.outcome,
        "error_code": row.error_code,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "gpu_seconds": row.gpu_seconds,
        "cpu_seconds": row.cpu_seconds,
        "phases": row.phases,
    }


def _parse_job_id(text: str) -> UUID:
    job_id = parse_id(text)
    if job_id is None:
        raise refuse_not_found()
    return job_id


def _cancel_chosen(job_id: UUID) -> None:
    with current_context().database.transaction() as session:
        lifecycle.cancel_job(session, job_queries.load_job(session, current_caller().owner, job_id))


def _retry_chosen(job_id: UUID) -> UUID:
    with current_context().database.reading() as session:
        row = job_queries.load_job(session, current_caller().owner, job_id)
    return submit_job(prepare.prepare_retry(row), None, None).resource.id


BULK_ACTS: dict[str, tuple[Callable[[UUID], object], str]] = {
    "cancel": (_cancel_chosen, "jobs-canceled"),
    "retry": (_retry_chosen, "jobs-retried"),
}
"""What is done with each selected job, and the notice that tells the result."""
