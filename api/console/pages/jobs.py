"""Jobs: a list to filter and search, and a page for each with what happened to it and what it cost."""

from typing import Any

from flask import request
from sqlalchemy import select
from werkzeug.wrappers import Response

from api.auth.bearer import caller
from api.console.access import visitor
from api.console.pages import job_timeline
from api.console.pages.code_snippets import write_recipes
from api.console.query_params import chosen, read_choice, read_cursor, read_day, read_ids, read_text, write_cursor
from api.console.rendering import render, render_live
from api.console.routing import page
from api.console.urls import lead_to
from api.images import queries
from api.jobs import prepare, queries as job_queries, retry, serializers
from api.jobs.submit import submit
from api.runtime.context import services
from api.web.errors import RefusedError
from api.web.validation import not_found
from common.errors import IllegalTransitionError, QueueFullError
from common.ids import parse_id
from common.jobs import lifecycle, search
from common.jobs.search import Wanted
from common.keys import Scope
from common.tables import Attempt
from common.tables.states import JobStatus, Priority
from common.webhooks import delivery_log

PAGE_SIZE = 50
FILTERS = ("status", "model", "priority", "since", "until", "words")


@page("/jobs", Scope.JOBS_READ)
def list_jobs() -> Response:
    """List jobs, the newest first; an id in the search leads straight to its job."""
    context, words = services(), read_text("words")
    job_id = parse_id(words)
    if job_id is not None:
        return lead_to("jobs:show_job", job_id=job_id)
    wanted = Wanted(
        status=read_choice("status", JobStatus),
        model=read_text("model", 64) or None,
        priority=read_choice("priority", Priority),
        since=read_day("since"),
        until=read_day("until", after=True),
        words=words,
    )
    with context.database.reading() as session:
        found = search.list_page(session, caller().owner, wanted, after=read_cursor("jobs"), limit=PAGE_SIZE)
        images = queries.images_of(session, found.rows)
    return render(
        "jobs/list.html",
        rows=found.rows,
        amounts={job_id: serializers.total_cost(each, context) for job_id, each in images.items()},
        next=write_cursor("jobs", found.next_after),
        filters=chosen(*FILTERS),
        models=[card.name for card in context.offer.cards()],
        statuses=[*JobStatus],
        priorities=[*Priority],
        searched=search.READ_THROUGH,
    )


@page("/jobs/chosen", Scope.JOBS_WRITE, post=True)
def change_jobs() -> Response:
    """Cancel the chosen jobs, or try them again; those of which that cannot be are left as they are."""
    chosen_ids = read_ids("job", PAGE_SIZE)
    is_retry = request.form.get("act") == "retry"
    for job_id in chosen_ids:
        try:
            _retry(str(job_id)) if is_retry else _cancel(str(job_id))
        except QueueFullError:
            raise
        except (RefusedError, IllegalTransitionError):
            continue
    return lead_to("jobs:list_jobs", note="jobs-retried" if is_retry else "jobs-canceled", **chosen(*FILTERS))


@page("/jobs/<job_id>", Scope.JOBS_READ)
def show_job(job_id: str) -> Response:
    """Show everything about a job."""
    return render("jobs/job.html", **_read(job_id))


@page("/jobs/<job_id>/now", Scope.JOBS_READ, live=True)
def show_job_now(job_id: str) -> Response:
    """Show the part of a job's page that changes; nothing if the browser has it."""
    found = _read(job_id)
    version = repr([found["job"].model_dump(exclude={"images"}), len(found["moments"]), found["attempts"]])
    return render_live("jobs/now.html", version, **found)


@page("/jobs/<job_id>/cancel", Scope.JOBS_WRITE, post=True)
def cancel_job(job_id: str) -> Response:
    """Cancel a job."""
    _cancel(job_id)
    return lead_to("jobs:show_job", job_id=job_id, note="job-canceled")


@page("/jobs/<job_id>/retry", Scope.JOBS_WRITE, post=True)
def retry_job(job_id: str) -> Response:
    """Make a new job of one that has ended."""
    return lead_to("jobs:show_job", job_id=_retry(job_id), note="job-made")


def _read(text: str) -> dict[str, Any]:
    context, job_id = services(), parse_id(text)
    if job_id is None:
        raise not_found()
    with context.database.reading() as session:
        row = job_queries.find_job(session, caller().owner, job_id)
        job = serializers.show_job(session, row, context)
        attempts = session.scalars(select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.number)).all()
        messages = []
        if visitor().may(Scope.WEBHOOKS_READ):
            messages = delivery_log.list_of_job(session, caller().owner, job_id)
        tries = delivery_log.attempts_at(session, messages)
    return {
        "job": job,
        "attempts": [_show_attempt(attempt) for attempt in attempts],
        "moments": job_timeline.tell(row, attempts, job.images, messages, tries),
        "recipes": write_recipes(job.request, context.settings.base_url),
    }


def _show_attempt(row: Attempt) -> dict[str, Any]:
    """Return what is shown of an attempt; the phases are all that it spent accelerator time on."""
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


def _cancel(text: str) -> None:
    job_id = parse_id(text)
    if job_id is None:
        raise not_found()
    with services().database.transaction() as session:
        row = job_queries.find_job(session, caller().owner, job_id)
        if row.status is not JobStatus.CANCELED:
            lifecycle.cancel(session, row)


def _retry(text: str) -> object:
    job_id = parse_id(text)
    if job_id is None:
        raise not_found()
    with services().database.reading() as session:
        row = job_queries.find_job(session, caller().owner, job_id)
    made, _ = submit(prepare.admit(retry.repeat(row)), None, None)
    return made
