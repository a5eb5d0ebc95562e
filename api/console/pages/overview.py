"""The press floor: what is printed now, what waits, what came out and what failed; it keeps itself up to date."""

from datetime import timedelta

from flask import render_template, request
from werkzeug.wrappers import Response

from api.auth.bearer import caller
from api.console.access import visitor
from api.console.fragment_cache import Snapshot
from api.console.rendering import render
from api.console.routing import page
from api.console.state import desk
from api.runtime.context import services
from common.jobs import overview
from common.keys import Scope


@page("/floor", Scope.JOBS_READ)
def show_floor() -> Response:
    """Show the floor."""
    return render("overview/floor.html", parts=[part.html for part in _read_parts()])


@page("/floor/now", Scope.JOBS_READ, live=True)
def show_now() -> Response:
    """Show the part of the floor that changes; nothing if the browser has it."""
    parts = _read_parts()
    response = Response("".join(part.html for part in parts), content_type="text/html; charset=utf-8")
    response.set_etag("-".join(part.version for part in parts), weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request)


def _read_parts() -> list[Snapshot]:
    """Return what the key may see: the house if it may, and the jobs of its owner in any case."""
    owner, snapshots = caller().owner, desk().snapshots
    parts = [snapshots.read(("house",), _draw_house)] if visitor().may(Scope.USAGE_HOUSE) else []
    return [*parts, snapshots.read(("owner", owner), lambda: _draw_own(owner))]


def _draw_house() -> str:
    context = services()
    with context.database.reading() as session:
        seen = overview.look(session, timedelta(seconds=context.settings.lease_seconds))
    return render_template("console/overview/house.html", floor=seen)


def _draw_own(owner: str) -> str:
    with services().database.reading() as session:
        seen = overview.look_for(session, owner)
        working = overview.list_working(session, owner)
    return render_template("console/overview/own.html", floor=seen, working=working)
