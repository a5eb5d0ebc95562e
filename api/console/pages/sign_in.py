"""Sign in with an API key, and sign out."""

from flask import make_response, request
from werkzeug.wrappers import Response

from api.console.navigation import SECTIONS
from api.console.rendering import render_page
from api.console.routing import register_page
from api.console.session import COOKIE, SESSION_SECONDS
from api.console.state import SIGN_IN_LIMIT, console_state
from api.console.urls import build_page_url, redirect_to
from api.runtime.context import current_context
from common import keys
from common.tables import ApiKey


@register_page("/sign-in", None)
def show_sign_in() -> Response:
    """Show the sign-in form."""
    return render_page("sign_in/sign_in.html", then=request.args.get("then", ""))


@register_page("/sign-in", None, post=True)
def sign_in() -> Response:
    """Start a session for a valid key."""
    given, then = request.form.get("key", "").strip(), request.form.get("then", "")
    if not console_state().sign_ins.test(SIGN_IN_LIMIT, request.remote_addr or ""):
        response = render_page(
            "sign_in/sign_in.html", 429, then=then, fault="Too many attempts. Try again in one minute."
        )
        response.headers["Retry-After"] = "60"
        return response
    with current_context().database.reading() as session:
        row = keys.find_api_key(session, given)
    if row is None:
        # Only failed attempts count: behind a proxy all visitors share one address.
        console_state().sign_ins.hit(SIGN_IN_LIMIT, request.remote_addr or "")
        fault = "Invalid API key. Keys begin with prk_; revoked and expired keys are rejected."
        return render_page("sign_in/sign_in.html", 401, then=then, fault=fault)
    return _set_cookie(_redirect_after_sign_in(row, then), console_state().sessions.open(row.id), SESSION_SECONDS)


@register_page("/sign-out", None, post=True)
def sign_out() -> Response:
    """End the session."""
    return _set_cookie(redirect_to("sign_in:show_sign_in"), "", 0)


@register_page("/", None)
def show_home() -> Response:
    """Redirect to the overview or the sign-in page."""
    found = console_state().sessions.read(request.cookies.get(COOKIE, ""))
    return redirect_to("overview:show_overview" if found else "sign_in:show_sign_in")


@register_page("/<path:rest>", None)
def show_not_found(rest: str) -> Response:
    """Return a 404 page."""
    return render_page(
        "problem.html", 404, title="Page not found", detail="Check the address, or use the navigation to find the page."
    )


def _redirect_after_sign_in(row: ApiKey, then: str) -> Response:
    """Redirect to the requested page if it is in the console, else to the first visible section."""
    home = build_page_url("sign_in:show_home")
    if then.startswith(home) and "\\" not in then:
        return make_response("", 303, {"Location": then})
    for section in SECTIONS:
        if section.scope in row.scopes:
            return redirect_to(section.home)
    return redirect_to("sign_in:show_sign_in")


def _set_cookie(response: Response, value: str, seconds: int) -> Response:
    response.set_cookie(
        COOKIE,
        value,
        max_age=seconds,
        path=f"{current_context().path_prefix}/console",
        secure=current_context().settings.base_url.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )
    return response
