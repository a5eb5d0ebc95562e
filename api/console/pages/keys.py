"""API keys of the owner: list, create and revoke."""

from datetime import timedelta

from flask import request
from werkzeug.wrappers import Response

from api.auth import keys as auth_keys
from api.auth.bearer import current_caller
from api.auth.keys import NewKey
from api.console.access import current_user
from api.console.rendering import render_page
from api.console.routing import FormPage, name_first_part, register_page
from api.console.urls import redirect_to
from api.runtime.context import current_context
from api.web.errors import refuse_request
from api.web.problems import FieldError
from common.access import keys
from common.access.keys import Scope
from common.clock import utcnow

FORM_NAMES = {"scopes": "scope", "expires_at": "ends"}
"""The form's names of the fields of a request, where they differ."""

LIFETIMES = {"never": None, "in 30 days": 30, "in 90 days": 90, "in a year": 365}
SCOPE_LABELS = {
    Scope.JOBS_READ: "see jobs and images",
    Scope.JOBS_WRITE: "create and cancel jobs",
    Scope.USAGE_READ: "see costs",
    Scope.WEBHOOKS_READ: "see webhooks",
    Scope.WEBHOOKS_WRITE: "change webhooks",
    Scope.STYLES_READ: "see styles",
    Scope.STYLES_WRITE: "create and change styles",
    Scope.CAMPAIGNS_READ: "see campaigns",
    Scope.CAMPAIGNS_WRITE: "create and control campaigns",
    Scope.CAMPAIGNS_APPROVE: "approve campaign spending",
    Scope.SAFETY_REVIEW: "review quarantined images",
    Scope.USAGE_ALL: "see presses and costs of all owners",
    Scope.KEYS_ADMIN: "create and revoke keys",
    Scope.AUDIT_READ: "see the audit trail",
    Scope.AUDIT_ALL: "see the audit trail of all owners",
}


@register_page("/keys", Scope.KEYS_ADMIN)
def list_keys() -> Response:
    """List the owner's keys, newest first."""
    return _render_keys()


def _name_field(pointer: str) -> str:
    part = name_first_part(pointer)
    return FORM_NAMES.get(part, part)


@register_page("/keys", Scope.KEYS_ADMIN, post=True, form=FormPage("keys:list_keys", _name_field))
def create_key() -> Response:
    """Create a key and show it once."""
    fields = {"name": request.form.get("name", "").strip(), "scopes": request.form.getlist("scope")}
    lifetime = request.form.get("ends", "")
    if lifetime not in LIFETIMES:
        detail = f"must be one of {', '.join(LIFETIMES)}"
        raise refuse_request([FieldError(code="enum", detail=detail, pointer="/expires_at")])
    days = LIFETIMES[lifetime]
    if days is not None:
        fields["expires_at"] = (utcnow() + timedelta(days=days)).isoformat()
    body = NewKey.model_validate(fields)
    with current_context().database.transaction() as session:
        row, key = auth_keys.issue_key(session, current_caller().owner, current_caller().scopes, body)
    return _render_keys(made=auth_keys.serialize_key(row, key))


@register_page("/keys/<key_id>/revoke", Scope.KEYS_ADMIN, post=True, form=FormPage("keys:list_keys"))
def revoke_key(key_id: str) -> Response:
    """Revoke a key."""
    with current_context().database.transaction() as session:
        is_revoked_now = auth_keys.revoke_owned_key(session, key_id)
    current_context().keys.forget()
    return redirect_to("keys:list_keys", note="key-revoked" if is_revoked_now else "key-revoked-before")


def _render_keys(made: object = None) -> Response:
    with current_context().database.reading() as session:
        rows = keys.list_owned_api_keys(session, current_caller().owner)
    given = [scope for scope in Scope if current_user().may(scope)]
    return render_page(
        "keys/list.html",
        rows=rows,
        made=made,
        given=given,
        usual=keys.TENANT_SCOPES,
        meanings=SCOPE_LABELS,
        lifetimes=LIFETIMES,
        now=utcnow(),
    )
