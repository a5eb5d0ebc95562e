"""Limits on what an owner can create and keep."""

from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from api.web.errors import RefusedError
from common.db.dialects import lock_until_commit


def require_room(session: Session, owner: str, kept: Select[Any], most: int, code: str, detail: str) -> None:
    """Raise RefusedError with *code* if *kept*, the rows that *owner* has, are *most* already.

    Until the transaction ends nobody else creates a row under this limit for the owner.
    """
    lock_until_commit(session, f"{code} {owner}")
    if (session.scalar(select(func.count()).select_from(kept.limit(most).subquery())) or 0) >= most:
        raise RefusedError(code, f"{detail} The maximum is {most}.")
