"""The overview: running and queued jobs, throughput and failures, updated live."""

from datetime import timedelta

from flask import render_template, request
from werkzeug.wrappers import Response

from api.auth.bearer import current_caller
from api.console.access import current_user
from api.console.fragment_cache import Fragment
from api.console.rendering import render_page
from api.console.routing import register_page
from api.console.state import console_state
from api.runtime.context import current_context
from common.access.keys import Scope
from common.clerk.backlog import load_backlog
from common.jobs import overview


@register_page("/overview", Scope.JOBS_READ)
def show_overview() -> Response:
    """Show the overview."""
    return render_page("overview/overview.html", parts=[part.html for part in _load_fragments()])


@register_page("/overview/now", Scope.JOBS_READ, live=True)
def show_overview_now() -> Response:
    """Return the live part of the overview, or 304 if it has not changed."""
    parts = _load_fragments()
    response = Response("".join(part.html for part in parts), content_type="text/html; charset=utf-8")
    response.set_etag("-".join(part.version for part in parts), weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request)


def _load_fragments() -> list[Fragment]:
    """Return the parts that the key may see: the operator view with usage:all, and its owner's jobs."""
    owner, snapshots = current_caller().owner, console_state().snapshots
    parts = [snapshots.read(("operator",), _render_operator_part)] if current_user().may(Scope.USAGE_ALL) else []
    return [*parts, snapshots.read(("owner", owner), lambda: _render_owner_part(owner))]


def _render_operator_part() -> str:
    context = current_context()
    with context.database.reading() as session:
        seen = overview.load_overview(session, timedelta(seconds=context.settings.lease_seconds))
        overdue = load_backlog(session, context.settings)
    return render_template("console/overview/operator.html", overview=seen, overdue=overdue)


def _render_owner_part(owner: str) -> str:
    with current_context().database.reading() as session:
        seen = overview.load_owner_overview(session, owner)
        working = overview.list_running_jobs(session, owner)
    return render_template("console/overview/own.html", overview=seen, working=working)
