"""The sections of the console, and the notices shown after a form; the URL names a notice, never its text."""

from dataclasses import dataclass

from common.access.keys import Scope


@dataclass(frozen=True)
class Section:
    """A section of the console: a module of views and a folder of templates, both called *name*."""

    name: str
    title: str
    scope: Scope
    home: str
    """The view that the navigation links to."""


SECTIONS = (
    Section("overview", "Overview", Scope.JOBS_READ, "overview:show_overview"),
    Section("generate", "Generate", Scope.JOBS_WRITE, "generate:show_form"),
    Section("jobs", "Jobs", Scope.JOBS_READ, "jobs:list_jobs"),
    Section("gallery", "Gallery", Scope.JOBS_READ, "gallery:show_gallery"),
    Section("campaigns", "Campaigns", Scope.CAMPAIGNS_READ, "campaigns_overview:list_campaigns"),
    Section("styles", "Styles", Scope.STYLES_READ, "styles:list_styles"),
    Section("review", "Review", Scope.SAFETY_REVIEW, "review:list_quarantine"),
    Section("costs", "Costs", Scope.USAGE_READ, "costs:show_costs"),
    Section("webhooks", "Webhooks", Scope.WEBHOOKS_READ, "webhooks:list_webhooks"),
    Section("models", "Models", Scope.JOBS_READ, "models:list_models"),
    Section("keys", "Keys", Scope.KEYS_ADMIN, "keys:list_keys"),
    Section("audit", "Audit", Scope.AUDIT_READ, "audit:list_events"),
)
"""In the order of the navigation."""


NOTES = {
    "job-canceled": "The job was canceled.",
    "jobs-canceled": "The jobs were canceled. Jobs that had already ended are unchanged.",
    "jobs-retried": "New jobs were created for the jobs that can be retried.",
    "job-made": "The job was accepted.",
    "key-revoked": "The key was revoked and no longer works.",
    "none-chosen": "Select at least one image.",
    "images-deleted": "The images were deleted, except those waiting for review. Their cost remains in the account.",
    "review-released": "The image was delivered to its owner at no charge.",
    "review-confirmed": "The block was confirmed. The image was permanently deleted.",
    "style-made": "The style was saved. Images made with earlier versions do not change.",
    "style-same": "No changes: the newest version is identical.",
    "webhook-deleted": "The webhook and its deliveries were deleted.",
    "webhook-changed": "The webhook was updated.",
    "webhook-tested": "A test message was queued.",
    "delivery-resent": "The message was queued again.",
    "campaign-made": "The campaign was created. Nothing is printed or charged until you approve it.",
    "campaign-deleted": "The campaign and its recipients were deleted.",
    "campaign-approved": "The campaign was approved. Start it to begin printing.",
    "campaign-started": "The campaign is running.",
    "campaign-paused": "The campaign is paused. Images in progress are finished and charged.",
    "campaign-canceled": "The campaign was canceled. Printed images are kept.",
    "campaign-retried": "The failed or blocked images are being retried.",
    "campaign-budget": "The budget was updated.",
    "recipients-taken": "All rows were accepted.",
    "recipients-taken-in-part": "Some rows were rejected. The others were added to the list.",
    "recipient-erased": "The recipient was erased from this campaign.",
    "links-made": "Public links were created for all images; see results.csv.",
    "links-revoked": "All links were revoked.",
}
