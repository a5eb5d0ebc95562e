"""What a page may say first, after a form has led to it; the address carries the name alone, never a text."""

from dataclasses import dataclass

from common.keys import Scope


@dataclass(frozen=True)
class Section:
    """One part of the console: a module of views and a folder of templates, both called *name*."""

    name: str
    title: str
    scope: Scope
    home: str
    """The view that the navigation leads to."""


SECTIONS = (
    Section("overview", "Press floor", Scope.JOBS_READ, "overview:show_floor"),
    Section("generate", "Make", Scope.JOBS_WRITE, "generate:show_form"),
    Section("jobs", "Jobs", Scope.JOBS_READ, "jobs:list_jobs"),
    Section("gallery", "Gallery", Scope.JOBS_READ, "gallery:show_gallery"),
    Section("campaigns", "Campaigns", Scope.CAMPAIGNS_READ, "campaigns_overview:list_campaigns"),
    Section("styles", "Styles", Scope.STYLES_READ, "styles:list_styles"),
    Section("review", "Review", Scope.SAFETY_REVIEW, "review:list_quarantine"),
    Section("costs", "Costs", Scope.USAGE_READ, "costs:show_costs"),
    Section("webhooks", "Webhooks", Scope.WEBHOOKS_READ, "webhooks:list_webhooks"),
    Section("models", "Models", Scope.JOBS_READ, "models:list_models"),
    Section("keys", "Keys", Scope.KEYS_ADMIN, "keys:list_keys"),
)
"""In the order of the navigation."""


NOTES = {
    "job-canceled": "The job was canceled.",
    "jobs-canceled": "The jobs were canceled; those that had ended were left as they were.",
    "jobs-retried": "New jobs were made from those that could be tried again.",
    "job-made": "The job was accepted.",
    "key-revoked": "The key was revoked; nothing can be done with it any more.",
    "none-chosen": "Choose some prints first, by the box in their corner.",
    "images-deleted": "The prints were deleted, but for those that wait for a reviewer. Their cost stays on the books.",
    "review-released": "The print was delivered to its owner; nothing is charged for it.",
    "review-confirmed": "The block was confirmed; the print is deleted for good.",
    "style-made": "The style was kept. What was made with earlier versions stays as it is.",
    "style-same": "The newest version says the same already, so there is no new one.",
    "webhook-deleted": "The webhook was deleted, and with it its deliveries.",
    "webhook-changed": "The webhook was changed.",
    "webhook-tested": "A test message is on its way.",
    "delivery-resent": "The message is being sent again.",
    "campaign-made": "The campaign was made. Nothing is printed or spent before you approve it.",
    "campaign-deleted": "The campaign was deleted, and with it its recipients.",
    "campaign-approved": "It is approved. Nothing more is printed until it is started.",
    "campaign-started": "The campaign is at work.",
    "campaign-paused": "The campaign is paused; what a press has in hand is finished, and charged.",
    "campaign-canceled": "The campaign was canceled; what is printed stays.",
    "campaign-retried": "What came to nothing is tried again.",
    "campaign-budget": "The budget was changed.",
    "recipients-taken": "Every row can be printed.",
    "recipients-taken-in-part": "Some rows cannot be printed, and were left out; the others are on the list.",
    "recipient-erased": "The person was erased from this campaign.",
    "links-made": "Each picture has a link now; results.csv names them.",
    "links-revoked": "The links lead nowhere any more.",
}
