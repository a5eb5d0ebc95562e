"""Who is asking: an API key in ``Authorization: Bearer`` leads to an owner, and each route names the scope it needs."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ParamSpec, Self, TypeVar, cast
from uuid import UUID

from flask import Flask, current_app, g, request

from api.runtime.context import services
from api.web.errors import RefusedError
from common import keys
from common.keys import Scope
from common.safety.policy import Wish
from common.tables import ApiKey

P = ParamSpec("P")
R = TypeVar("R")

BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]{1,256})")
MARK = "pressroom_scope"
"""The attribute of a view that holds the scope it needs; a view without it answers nobody."""


@dataclass(frozen=True)
class Caller:
    """Whose request this is, by which key, and what that may do."""

    owner: str
    key_id: UUID
    scopes: tuple[str, ...]
    kept: keys.Kept
    safety: Wish  # how much stricter than the operator's policy its jobs are judged
    expires_at: datetime | None  # of the key

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        """Return whoever holds the key of *row*."""
        kept, safety = keys.Kept.of(row), Wish.model_validate(row.safety or {})
        return cls(row.owner, row.id, tuple(row.scopes), kept, safety, row.expires_at)


def needs(scope: Scope | None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a view as open to keys with *scope*; None: to everyone, without a key."""

    def mark(view: Callable[P, R]) -> Callable[P, R]:
        vars(view)[MARK] = scope
        return view

    return mark


def scope_of(view: Callable[..., object]) -> Scope | None:
    """Return the scope that *view* needs; KeyError if nobody has said."""
    return cast("Scope | None", vars(view)[MARK])


def caller() -> Caller:
    """Return whose request is being handled."""
    return cast("Caller", g.caller)


def install(app: Flask) -> None:
    """Have every request of *app* checked before its view runs."""
    app.before_request(_authenticate)


def _authenticate() -> None:
    if request.endpoint is None:
        return  # there is no such route: 404 or 405, key or not
    scope = scope_of(current_app.view_functions[request.endpoint])
    if scope is None:
        return
    match = BEARER.fullmatch(request.headers.get("Authorization", ""))
    row = services().keyring.find(match.group(1)) if match else None
    if row is None:
        raise RefusedError(
            "unauthorized", "Send a valid API key as Authorization: Bearer KEY.", headers={"WWW-Authenticate": "Bearer"}
        )
    if scope not in row.scopes:
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        raise RefusedError(
            "insufficient_scope", f"This key lacks the scope {scope}.", headers={"WWW-Authenticate": challenge}
        )
    g.caller = Caller.of(row)
