"""The sections of the console."""

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
