"""Sign in with an API key, and sign out."""

from datetime import timedelta

from flask import g, make_response, request
from werkzeug.wrappers import Response

from api.console.navigation import SECTIONS
from api.console.refusals import Refusal
from api.console.rendering import render_page
from api.console.routing import register_page
from api.console.session import COOKIE, SESSION_LIFETIME
from api.console.state import console_state
from api.console.urls import build_page_url, redirect_to
from api.runtime.context import current_context
from common.access import keys
from common.tables import ApiKey

NOT_FOUND = "Check the address, or use the navigation to find the page."


@register_page("/sign-in", None)
def show_sign_in() -> Response:
    """Show the sign-in form."""
    return render_page("sign_in/sign_in.html", then=request.args.get("then", ""))


@register_page("/sign-in", None, post=True)
def sign_in() -> Response:
    """Start a session for a valid key."""
    given, then = request.form.get("key", "").strip(), request.form.get("then", "")
    with current_context().database.glancing() as session:
        row = keys.find_api_key(session, given)
    if row is None:
        return _refuse_key(then)
    _end_session()
    with current_context().database.transaction() as session:
        session_id = keys.open_console_session(session, row, SESSION_LIFETIME)
    return _set_cookie(_redirect_after_sign_in(row, then), console_state().sessions.sign(session_id), SESSION_LIFETIME)


@register_page("/sign-out", None, post=True)
def sign_out() -> Response:
    """End the session, for every copy of its cookie."""
    _end_session()
    return _set_cookie(redirect_to("sign_in:show_sign_in"), "", timedelta())


@register_page("/", None)
def show_home() -> Response:
    """Redirect to the overview or the sign-in page."""
    return redirect_to("overview:show_overview" if "visitor" in g else "sign_in:show_sign_in")


@register_page("/<path:rest>", None)
def show_not_found(rest: str) -> Response:
    """Return a 404 page."""
    problem = {"status": 404, "title": "Page not found", "detail": NOT_FOUND}
    home = build_page_url("sign_in:show_home")
    return render_page("problem.html", 404, problem=Refusal.of(problem), back_url=home, back_title="Go to overview")


def _refuse_key(then: str) -> Response:
    seconds = console_state().failed_sign_ins.count(g.client_address)
    if not seconds:
        fault = "Invalid API key. Keys begin with prk_; revoked and expired keys are rejected."
        return render_page("sign_in/sign_in.html", 401, then=then, fault=fault)
    fault = f"Invalid API key, and too many failed attempts. Try again in {seconds} seconds."
    response = render_page("sign_in/sign_in.html", 429, then=then, fault=fault)
    response.headers["Retry-After"] = str(seconds)
    return response


def _end_session() -> None:
    """End the session of the request's cookie, if there is one."""
    signed = console_state().sessions.read(request.cookies.get(COOKIE, ""))
    if signed is None:
        return
    with current_context().database.transaction() as session:
        keys.close_console_session(session, signed.session_id)
    console_state().key_ring.forget(signed.session_id)


def _redirect_after_sign_in(row: ApiKey, then: str) -> Response:
    """Redirect to the requested page if it is in the console, else to the first visible section."""
    home = build_page_url("sign_in:show_home")
    if then.startswith(home) and then.isprintable() and "\\" not in then:
        return make_response("", 303, {"Location": then})
    for section in SECTIONS:
        if section.scope in row.scopes:
            return redirect_to(section.home)
    return redirect_to("sign_in:show_sign_in")


def _set_cookie(response: Response, value: str, lifetime: timedelta) -> Response:
    response.set_cookie(
        COOKIE,
        value,
        max_age=lifetime,
        path=f"{current_context().path_prefix}/console",
        secure=current_context().settings.base_url.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )
    return response
