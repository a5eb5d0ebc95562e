"""How the console comes into the app: its pages, its gate, its headers, and its way to tell what went wrong."""

import json

from flask import Flask, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from api.console import access, rendering, static
from api.console.pages import (
    costs,
    gallery,
    generate,
    jobs,
    keys,
    models,
    overview as page_overview,
    review,
    sign_in,
    styles,
    webhooks,
)
from api.console.pages.campaigns import overview, proofs, recipients, results, runs
from api.console.routing import blueprint
from api.console.state import EXTENSION, Desk
from api.runtime.context import EXTENSION as CONTEXT
from api.web import errors

CAMPAIGNS = (overview, recipients, proofs, runs, results)
VIEWS = (
    sign_in,
    static,
    page_overview,
    generate,
    jobs,
    gallery,
    *CAMPAIGNS,
    styles,
    review,
    costs,
    webhooks,
    models,
    keys,
)
"""Each a module of pages; to import it is to add them."""

blueprint.before_request(access.admit)
blueprint.after_request(rendering.secure)


@blueprint.errorhandler(Exception)
def _answer_fault(error: Exception) -> Response:
    """Say in words what the api would say in JSON."""
    if isinstance(error, HTTPException) and error.code is not None and error.code < errors.CLIENT_ERRORS:
        return Response.force_type(error.get_response())
    answer = errors.answer(error)
    problem = json.loads(answer.get_data())
    response = rendering.render(
        "problem.html" if "HX-Request" not in request.headers else "problem_note.html",
        answer.status_code,
        title=problem["title"],
        detail=problem["detail"],
        faults=problem.get("errors", []),
        request_id=g.request_id,
    )
    for name in ("Retry-After", "Allow"):
        if name in answer.headers:
            response.headers[name] = answer.headers[name]
    if "HX-Request" in request.headers:
        response.headers["HX-Retarget"], response.headers["HX-Reswap"] = "#notice", "innerHTML"
    return response


def install(app: Flask) -> None:
    """Add the console to *app*."""
    equip(app)
    rendering.install(app)
    app.register_blueprint(blueprint)


def equip(app: Flask) -> None:
    """Have the console work with what *app* works with now."""
    app.extensions[EXTENSION] = Desk.of(app.extensions[CONTEXT])
