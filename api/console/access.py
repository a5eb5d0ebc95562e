"""Authorize console requests: the cookie identifies an API key, the page names a scope, the form carries a token."""

from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from flask import current_app, g, redirect, request
from werkzeug.wrappers import Response

from api.auth.bearer import Caller
from api.console.routing import get_page_scope, is_live_view
from api.console.session import COOKIE
from api.console.state import console_state
from api.console.urls import build_page_url
from api.runtime.context import current_context
from api.runtime.uploads import admit_body
from api.web.errors import RefusedError
from common.access import keys
from common.access.keys import Scope
from common.tables import ApiKey

TOKEN_FIELD = "csrf_token"  # noqa: S105  (a name, not a token)
TOKEN_HEADER = "X-CSRF-Token"  # noqa: S105
SAME_SITE_VALUES = ("same-origin", "none")


@dataclass(frozen=True)
class SignedInUser:
    """The signed-in user: the API key and its scopes."""

    key_id: str
    owner: str
    name: str
    scopes: frozenset[Scope]
    token: str
    """The CSRF token that every form carries."""

    def may(self, scope: Scope) -> bool:
        """Return whether the key has *scope*; pages hide what it does not allow."""
        return scope in self.scopes


def current_user() -> SignedInUser:
    """Return the visitor of the current request."""
    return cast("SignedInUser", g.visitor)


def require_scope(scope: Scope) -> None:
    """Raise RefusedError unless the visitor's key has *scope*."""
    if not current_user().may(scope):
        raise RefusedError("insufficient_scope", f"Your API key lacks the scope {scope}.")


def is_script_request() -> bool:
    """Return whether a script of a page has sent the request, which reads JSON and no pages."""
    return request.accept_mimetypes.best == "application/json"


def authorize_request() -> Response | None:
    """Admit the request or redirect it to the sign-in page; raise RefusedError if it is not allowed."""
    if request.method == "POST":
        _refuse_cross_site()
    view = current_app.view_functions[str(request.endpoint)]
    scope = get_page_scope(view)
    cookie = request.cookies.get(COOKIE, "")
    row = _find_key(cookie, live=is_live_view(view))
    if row is not None:
        g.visitor = SignedInUser(
            key_id=row.prefix,
            owner=row.owner,
            name=row.name,
            scopes=frozenset(scope for scope in Scope if scope in row.scopes),
            token=console_state().sessions.token(cookie),
        )
        g.caller = Caller.of(row)
    if scope is None:
        return admit_body("")
    if row is None:
        return _redirect_to_sign_in()
    require_scope(scope)
    admission = admit_body(row.owner)
    if admission is not None:
        return admission  # the token may be in the body, which is read after this
    g.is_admitted = True
    if request.method == "POST" and not console_state().sessions.is_own(cookie, _read_csrf_token()):
        raise RefusedError("insufficient_scope", "This form had expired, so nothing was changed. Send it again.")
    return None


def _find_key(cookie: str, *, live: bool) -> ApiKey | None:
    """Return the API key of a cookie, or None if its session has ended."""
    signed = console_state().sessions.read(cookie) if cookie else None
    if signed is None:
        return None
    if live:
        return console_state().key_ring.find(signed.session_id)
    with current_context().database.glancing() as session:
        return keys.load_session_keys(session, [signed.session_id]).get(signed.session_id)


def _refuse_cross_site() -> None:
    """Raise RefusedError for cross-site requests, which browsers mark with one of two headers."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        is_own = site in SAME_SITE_VALUES
    else:
        origin = request.headers.get("Origin")
        is_own = origin is None or urlsplit(origin).netloc == request.host
    if not is_own:
        raise RefusedError("insufficient_scope", "Cross-site form submissions are not allowed.")


def _read_csrf_token() -> str:
    header = request.headers.get(TOKEN_HEADER)
    if header is not None:
        return header
    return request.form.get(TOKEN_FIELD, "")


def _redirect_to_sign_in() -> Response:
    if is_script_request():
        raise RefusedError("unauthorized", "Your session has ended. Reload the page and sign in again.")
    if request.headers.get("HX-Request"):
        return Response(status=401, headers={"HX-Redirect": build_page_url("sign_in:show_sign_in")})
    if request.method == "POST":
        return redirect(build_page_url("sign_in:show_sign_in", note="session-ended"), 303)
    return redirect(build_page_url("sign_in:show_sign_in", then=request.full_path.rstrip("?")), 303)
