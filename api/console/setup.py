"""Install the console on the app: its pages, authorization, headers and error pages."""

import json

from flask import Flask, current_app, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from api.console import access, refusals, rendering, static
from api.console.navigation import SECTIONS
from api.console.pages import (
    audit,
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
from api.console.refusals import Refusal
from api.console.routing import blueprint, get_page_section
from api.console.state import EXTENSION, ConsoleState
from api.console.urls import build_page_url
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
    audit,
)
"""The page modules; importing one registers its pages."""

blueprint.before_request(access.authorize_request)


@blueprint.errorhandler(Exception)
def _render_error(error: Exception) -> Response:
    """Render as a page the problem that the API would return as JSON: if it can be shown, the page of the form."""
    if isinstance(error, HTTPException) and error.code is not None and error.code < errors.CLIENT_ERRORS:
        return Response.force_type(error.get_response())
    answer = errors.respond_to_error(error)
    if access.is_script_request():
        return answer
    problem = json.loads(answer.get_data())
    response = refusals.show_form_again(problem) or rendering.render_page(
        "problem.html" if "HX-Request" not in request.headers else "problem_note.html",
        answer.status_code,
        problem=Refusal.of(problem),
        **_find_way_back(),
    )
    for name in ("Retry-After", "Allow"):
        if name in answer.headers:
            response.headers[name] = answer.headers[name]
    if "HX-Request" in request.headers:
        response.headers["HX-Retarget"], response.headers["HX-Reswap"] = "#notice", "innerHTML"
    return response


def _find_way_back() -> dict[str, str]:
    """Return the URL and the title of the link to the section that the visitor came for, or else to the first page."""
    name = get_page_section(current_app.view_functions.get(request.endpoint or ""))
    found = next((each for each in SECTIONS if each.name == name), None)
    home = None if found is None else build_page_url(found.home)
    if found is None or home == request.path or "visitor" not in g or not access.current_user().may(found.scope):
        return {"back_url": build_page_url("sign_in:show_home"), "back_title": "Go to overview"}
    return {"back_url": build_page_url(found.home), "back_title": f"Back to {found.title}"}


def install(app: Flask) -> None:
    """Add the console to *app*."""
    attach_console_state(app)
    rendering.install(app)
    app.after_request(_protect_response)
    app.register_blueprint(blueprint)


def _protect_response(response: Response) -> Response:
    """Set the security headers of every response under the console, of those too that no page of it has made."""
    is_console = f"{request.path}/".startswith(f"{blueprint.url_prefix}/")
    return rendering.set_security_headers(response) if is_console else response


def attach_console_state(app: Flask) -> None:
    """Create the console's state from the current context of *app*."""
    app.extensions[EXTENSION] = ConsoleState.of(app.extensions[CONTEXT])
