"""Signing in by an API key, and out."""

from flask import make_response, request
from werkzeug.wrappers import Response

from api.console.navigation import SECTIONS
from api.console.rendering import render
from api.console.routing import page
from api.console.session import COOKIE, LASTS_SECONDS
from api.console.state import SIGN_INS, desk
from api.console.urls import lead_to, link
from api.runtime.context import services
from api.web.strict_json import BODY_SECONDS, hurrying
from common import keys
from common.tables import ApiKey


@page("/sign-in", None)
def show_sign_in() -> Response:
    """Ask for a key."""
    return render("sign_in/sign_in.html", then=request.args.get("then", ""))


@page("/sign-in", None, post=True)
def sign_in() -> Response:
    """Set the cookie of a valid key."""
    with hurrying(request, BODY_SECONDS):
        given, then = request.form.get("key", "").strip(), request.form.get("then", "")
    if not desk().sign_ins.test(SIGN_INS, request.remote_addr or ""):
        response = render("sign_in/sign_in.html", 429, then=then, fault="Too many attempts. Try again in one minute.")
        response.headers["Retry-After"] = "60"
        return response
    with services().database.reading() as session:
        row = keys.find(session, given)
    if row is None:
        # Only tries that fail count: behind a proxy all people share one address.
        desk().sign_ins.hit(SIGN_INS, request.remote_addr or "")
        fault = "This is no valid key. Keys begin with prk_; one that was revoked or has expired opens nothing."
        return render("sign_in/sign_in.html", 401, then=then, fault=fault)
    return _set_cookie(_choose_page(row, then), desk().sessions.open(row.id), LASTS_SECONDS)


@page("/sign-out", None, post=True)
def sign_out() -> Response:
    """Take the cookie away."""
    return _set_cookie(lead_to("sign_in:show_sign_in"), "", 0)


@page("/", None)
def show_home() -> Response:
    """Lead to the first section that the key may see."""
    found = desk().sessions.read(request.cookies.get(COOKIE, ""))
    return lead_to("overview:show_floor" if found else "sign_in:show_sign_in")


@page("/<path:rest>", None)
def miss(rest: str) -> Response:
    """Say that there is no such page."""
    return render("problem.html", 404, title="There is no such page", detail="The link may be old or mistyped.")


def _choose_page(row: ApiKey, then: str) -> Response:
    """Lead on to the page that was asked for, if it is one of ours, else to the first that the key may see."""
    home = link("sign_in:show_home")
    if then.startswith(home) and "\\" not in then:
        return make_response("", 303, {"Location": then})
    for section in SECTIONS:
        if section.scope in row.scopes:
            return lead_to(f"{section.name}:{section.home}")
    return lead_to("sign_in:show_sign_in")


def _set_cookie(response: Response, value: str, seconds: int) -> Response:
    response.set_cookie(
        COOKIE,
        value,
        max_age=seconds,
        path=f"{services().path_prefix}/console",
        secure=services().settings.base_url.startswith("https:"),
        httponly=True,
        samesite="Lax",
    )
    return response
