"""Every table, and nothing else: ``from common import tables``, then ``tables.Job``."""

from common.tables.audit import AuditEvent
from common.tables.campaigns import Campaign, Print, Recipient, RecipientList, RejectedRow, Style
from common.tables.images import Asset, Image, Likeness
from common.tables.jobs import Attempt, Job
from common.tables.keys import ApiKey, ConsoleSession, IdempotencyKey
from common.tables.presses import Model, Press, PressReading, Tokenizer
from common.tables.quarantine import PromptRefusals, QuarantinedImage, Review
from common.tables.usage import PressUsageSum, UsageSum
from common.tables.webhooks import WebhookAttempt, WebhookEndpoint, WebhookMessage

__all__ = [
    "ApiKey",
    "Asset",
    "Attempt",
    "AuditEvent",
    "Campaign",
    "ConsoleSession",
    "IdempotencyKey",
    "Image",
    "Job",
    "Likeness",
    "Model",
    "Press",
    "PressReading",
    "PressUsageSum",
    "Print",
    "PromptRefusals",
    "QuarantinedImage",
    "Recipient",
    "RecipientList",
    "RejectedRow",
    "Review",
    "Style",
    "Tokenizer",
    "UsageSum",
    "WebhookAttempt",
    "WebhookEndpoint",
    "WebhookMessage",
]
