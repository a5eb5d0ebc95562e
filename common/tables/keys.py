"""The tables of API keys, of console sessions and of idempotency keys."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from common.clock import utcnow
from common.db.ids import create_id
from common.db.types import Base


class ApiKey(Base):
    """An API key of an owner; only its digest is stored."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)
    owner: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(64))
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    safety: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # stricter than the operator's
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    # How long data created with this key is kept; None: the settings apply.
    image_days: Mapped[int | None]
    asset_days: Mapped[int | None]
    prompt_days: Mapped[int | None]
    webhook_days: Mapped[int | None]


class ConsoleSession(Base):
    """A signed-in session of the console; it ends with its row, its time or its key."""

    __tablename__ = "console_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"), index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class IdempotencyKey(Base):
    """A request with an idempotency key; repeated, it returns the same job."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
