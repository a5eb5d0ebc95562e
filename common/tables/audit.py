"""The table of the audit trail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from common.clock import utcnow
from common.db.ids import create_id
from common.db.types import Base


class AuditEvent(Base):
    """One act of a key or of the operator: inserted in its transaction, and never changed but for an erasure.

    Triggers of the database hold this: only ``before`` and ``after`` may be blanked, and nothing young deleted.
    """

    __tablename__ = "audit_events"
    # Each list begins at its newest end and reads only the rows that it shows.
    __table_args__ = (
        Index("ix_audit_events_owner", "owner", "id"),
        Index("ix_audit_events_act", "owner", "act", "id"),
        Index("ix_audit_events_key", "key_id", "id"),
        Index("ix_audit_events_object", "object_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)
    at: Mapped[datetime] = mapped_column(default=utcnow)
    owner: Mapped[str] = mapped_column(String(64))  # of the key that acted
    key_id: Mapped[UUID | None]  # None: the operator on the command line, or the clerk
    act: Mapped[str] = mapped_column(String(64))
    object_kind: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[str] = mapped_column(String(64))
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
