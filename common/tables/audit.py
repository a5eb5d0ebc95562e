"""The table of the audit trail."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from common.clock import utcnow
from common.db.ids import create_id
from common.db.types import Base


class Act(StrEnum):
    """What was done, as ``object.deed``; a new act needs no migration."""

    CAMPAIGN_APPROVED = "campaign.approved"
    CAMPAIGN_STARTED = "campaign.started"
    CAMPAIGN_PAUSED = "campaign.paused"
    CAMPAIGN_RESUMED = "campaign.resumed"
    CAMPAIGN_CANCELED = "campaign.canceled"
    CAMPAIGN_RETRIED = "campaign.retried"
    CAMPAIGN_BUDGET_CHANGED = "campaign.budget_changed"
    CAMPAIGN_LINKS_CREATED = "campaign.links_created"
    CAMPAIGN_LINKS_REVOKED = "campaign.links_revoked"
    CAMPAIGN_DELETED = "campaign.deleted"
    RECIPIENT_ERASED = "recipient.erased"
    IMAGE_ERASED = "image.erased"
    IMAGE_RELEASED = "image.released"  # from quarantine
    IMAGE_BLOCK_CONFIRMED = "image.block_confirmed"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_UPDATED = "webhook.updated"
    WEBHOOK_ENABLED = "webhook.enabled"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_SECRET_ROTATED = "webhook.secret_rotated"  # noqa: S105  (a name, not a secret)
    WEBHOOK_DELETED = "webhook.deleted"


class ObjectKind(StrEnum):
    """What kind of object an act changed."""

    CAMPAIGN = "campaign"
    RECIPIENT = "recipient"
    IMAGE = "image"
    KEY = "key"
    WEBHOOK = "webhook"


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
