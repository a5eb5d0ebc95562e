"""Authentication by ``Authorization: Bearer``: resolves the API key to its owner and checks the route's scope."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ParamSpec, Self, TypeVar, cast
from uuid import UUID

from flask import Flask, Response, current_app, g, request

from api.runtime.context import current_context
from api.runtime.uploads import admit_body
from api.web.errors import RefusedError
from api.web.problems import FieldError
from common.access import keys
from common.access.keys import Scope
from common.safety.policy import PolicyOverrides
from common.tables import ApiKey

P = ParamSpec("P")
R = TypeVar("R")

BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]{1,256})")
SCOPE_ATTRIBUTE = "pressroom_scope"
"""The attribute of a view that holds its required scope; a view without it cannot be called."""


@dataclass(frozen=True)
class Caller:
    """The authenticated caller: owner, API key and permissions."""

    owner: str
    key_id: UUID
    scopes: tuple[str, ...]
    kept: keys.RetentionDays
    safety: PolicyOverrides  # a policy stricter than the operator's, applied to its jobs
    expires_at: datetime | None  # of the key

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        """Return the caller that the API key *row* authenticates."""
        kept, safety = keys.RetentionDays.of(row), PolicyOverrides.from_row(row.safety)
        return cls(row.owner, row.id, tuple(row.scopes), kept, safety, row.expires_at)


def scope_required(scope: Scope | None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that requires *scope* for a view; None makes the view public."""

    def mark(view: Callable[P, R]) -> Callable[P, R]:
        vars(view)[SCOPE_ATTRIBUTE] = scope
        return view

    return mark


def get_view_scope(view: Callable[..., object]) -> Scope | None:
    """Return the scope that *view* needs; raise KeyError if none was declared."""
    return cast("Scope | None", vars(view)[SCOPE_ATTRIBUTE])


def current_caller() -> Caller:
    """Return the caller of the current request."""
    return cast("Caller", g.caller)


def install(app: Flask) -> None:
    """Authenticate every request of *app* before its view runs."""
    app.before_request(_authenticate_request)


def _authenticate_request() -> Response | None:
    if request.endpoint is None:
        return None  # unknown route: 404 or 405, with or without a key
    scope = get_view_scope(current_app.view_functions[request.endpoint])
    if scope is None:
        return None
    match = BEARER.fullmatch(request.headers.get("Authorization", ""))
    row = current_context().keys.find(match.group(1)) if match else None
    if row is None:
        raise RefusedError(
            "unauthorized", "Send a valid API key as Authorization: Bearer KEY.", headers={"WWW-Authenticate": "Bearer"}
        )
    if scope not in row.scopes:
        raise _refuse_scope(scope, f"This API key requires the scope {scope}.")
    g.caller = Caller.of(row)
    return admit_body(row.owner)


def require_scope(scope: Scope, purpose: str, pointer: str) -> None:
    """Raise RefusedError unless the caller's key has *scope* too, which the field at *pointer* needs *purpose*."""
    if scope not in current_caller().scopes:
        fault = FieldError(code="insufficient_scope", detail=f"requires the scope {scope} {purpose}", pointer=pointer)
        raise _refuse_scope(scope, fault.sentence, [fault])


def _refuse_scope(scope: Scope, detail: str, faults: Sequence[FieldError] = ()) -> RefusedError:
    challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
    return RefusedError("insufficient_scope", detail, faults, challenge)
