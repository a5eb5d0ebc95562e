"""What the audit trail records: the acts, and the kinds of objects that they change."""

from enum import StrEnum


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
