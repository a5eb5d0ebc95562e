"""Who may open which page: a cookie leads to a live key, a page names a scope, and a form proves where it is from."""

from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from flask import current_app, g, redirect, request
from werkzeug.wrappers import Response

from api.auth.bearer import Caller
from api.console.routing import is_live, scope_of
from api.console.session import COOKIE
from api.console.state import desk
from api.console.urls import link
from api.runtime.context import services
from api.web.errors import RefusedError
from api.web.strict_json import BODY_SECONDS, hurrying
from common import keys
from common.keys import Scope
from common.tables import ApiKey

TOKEN_FIELD = "csrf_token"  # noqa: S105  (a name, not a token)
TOKEN_HEADER = "X-CSRF-Token"  # noqa: S105
HAPPENS_HERE = ("same-origin", "none")


@dataclass(frozen=True)
class Visitor:
    """Whoever is signed in: by which key, and what it may do."""

    key_id: str
    owner: str
    name: str
    scopes: frozenset[Scope]
    token: str
    """Against forgery: carried by every form."""

    def may(self, scope: Scope) -> bool:
        """Tell whether the key has this scope; what it lacks is not shown."""
        return scope in self.scopes


def visitor() -> Visitor:
    """Return who has opened the page that is being made."""
    return cast("Visitor", g.visitor)


def demand(scope: Scope) -> None:
    """Raise RefusedError unless the visitor's key has *scope*."""
    if not visitor().may(scope):
        raise RefusedError("insufficient_scope", f"The key that you signed in with lacks the scope {scope}.")


def admit() -> Response | None:
    """Let a request pass, or send its sender to sign in; raise RefusedError for what may not be."""
    if request.method == "POST":
        _refuse_strangers()
    view = current_app.view_functions[str(request.endpoint)]
    scope = scope_of(view)
    cookie = request.cookies.get(COOKIE, "")
    row = _find_key(cookie, live=is_live(view))
    if row is not None:
        g.visitor = Visitor(
            key_id=row.prefix,
            owner=row.owner,
            name=row.name,
            scopes=frozenset(scope for scope in Scope if scope in row.scopes),
            token=desk().sessions.token(cookie),
        )
        g.caller = Caller.of(row)
    if scope is None:
        return None
    if row is None:
        return _send_to_sign_in()
    demand(scope)
    if request.method == "POST" and not desk().sessions.is_own(cookie, _read_token()):
        raise RefusedError("insufficient_scope", "This form is out of date: go back, reload the page and try again.")
    return None


def _find_key(cookie: str, *, live: bool) -> ApiKey | None:
    """Return the key behind a cookie, unless the cookie has expired or the key was revoked."""
    signed = desk().sessions.read(cookie) if cookie else None
    if signed is None:
        return None
    if live:
        return desk().key_ring.find(signed.key_id)
    with services().database.glancing() as session:
        return keys.find_live(session, signed.key_id)


def _refuse_strangers() -> None:
    """Refuse what another site has a browser send: browsers say so themselves, by one of two headers."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        is_own = site in HAPPENS_HERE
    else:
        origin = request.headers.get("Origin")
        is_own = origin is None or urlsplit(origin).netloc == request.host
    if not is_own:
        raise RefusedError("insufficient_scope", "This form was sent from another site.")


def _read_token() -> str:
    header = request.headers.get(TOKEN_HEADER)
    if header is not None:
        return header
    with hurrying(request, BODY_SECONDS):
        return request.form.get(TOKEN_FIELD, "")


def _send_to_sign_in() -> Response:
    if request.headers.get("HX-Request"):
        return Response(status=401, headers={"HX-Redirect": link("sign_in:show_sign_in")})
    wanted = {} if request.method == "POST" else {"then": request.full_path.rstrip("?")}
    return redirect(link("sign_in:show_sign_in", **wanted), 303)
