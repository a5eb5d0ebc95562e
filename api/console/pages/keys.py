"""Keys: the owner's keys, when they were used, and new ones, shown once."""

from datetime import timedelta

from flask import request
from werkzeug.wrappers import Response

from api.auth import keys as auth_keys
from api.auth.bearer import caller
from api.auth.keys import NewKey
from api.console.access import visitor
from api.console.rendering import render
from api.console.routing import page
from api.console.urls import lead_to
from api.runtime.context import services
from api.web.errors import RefusedError
from common import keys
from common.clock import utcnow
from common.keys import Scope

LIFETIMES = {"never": None, "in 30 days": 30, "in 90 days": 90, "in a year": 365}
MEANINGS = {
    Scope.JOBS_READ: "see jobs and images",
    Scope.JOBS_WRITE: "make and cancel jobs",
    Scope.USAGE_READ: "see what was spent",
    Scope.WEBHOOKS_READ: "see webhooks",
    Scope.WEBHOOKS_WRITE: "change webhooks",
    Scope.STYLES_READ: "see styles",
    Scope.STYLES_WRITE: "make and change styles",
    Scope.CAMPAIGNS_READ: "see campaigns",
    Scope.CAMPAIGNS_WRITE: "make and steer campaigns",
    Scope.CAMPAIGNS_APPROVE: "approve what campaigns spend",
    Scope.SAFETY_REVIEW: "see and decide about quarantined prints",
    Scope.USAGE_HOUSE: "see the presses and costs of the whole house",
    Scope.KEYS_ADMIN: "make and revoke keys",
}


@page("/keys", Scope.KEYS_ADMIN)
def list_keys() -> Response:
    """List the owner's keys, the newest first."""
    return _show()


@page("/keys", Scope.KEYS_ADMIN, post=True)
def create_key() -> Response:
    """Make a key and show it, this once."""
    wish = {"name": request.form.get("name", "").strip(), "scopes": request.form.getlist("scope")}
    days = LIFETIMES.get(request.form.get("ends", ""))
    if days is not None:
        wish["expires_at"] = (utcnow() + timedelta(days=days)).isoformat()
    try:
        body = NewKey.model_validate(wish)
        with services().database.transaction() as session:
            row, key = auth_keys.make(session, caller().owner, caller().scopes, body)
    except RefusedError as refused:
        return _show(refused=refused)
    return _show(made=auth_keys.show_key(row, key))


@page("/keys/<key_id>/revoke", Scope.KEYS_ADMIN, post=True)
def revoke_key(key_id: str) -> Response:
    """Revoke a key."""
    with services().database.transaction() as session:
        keys.revoke(session, auth_keys.find(session, caller().owner, key_id).prefix)
    services().keyring.forget()
    return lead_to("keys:list_keys", note="key-revoked")


def _show(made: object = None, refused: RefusedError | None = None) -> Response:
    with services().database.reading() as session:
        rows = keys.list_owned(session, caller().owner)
    given = [scope for scope in Scope if visitor().may(scope)]
    return render(
        "keys/list.html",
        200 if refused is None else 422,
        rows=rows,
        made=made,
        refused=refused,
        given=given,
        usual=keys.TENANT_SCOPES,
        meanings=MEANINGS,
        lifetimes=LIFETIMES,
        now=utcnow(),
    )
