"""The sections of the console: what the navigation shows, to whom."""

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
    Section("floor", "Press floor", Scope.JOBS_READ, "show_floor"),
    Section("make", "Make", Scope.JOBS_WRITE, "show_form"),
    Section("jobs", "Jobs", Scope.JOBS_READ, "list_jobs"),
    Section("gallery", "Gallery", Scope.JOBS_READ, "show_gallery"),
    Section("campaigns", "Campaigns", Scope.CAMPAIGNS_READ, "list_campaigns"),
    Section("styles", "Styles", Scope.STYLES_READ, "list_styles"),
    Section("review", "Review", Scope.SAFETY_REVIEW, "list_quarantine"),
    Section("costs", "Costs", Scope.USAGE_READ, "show_costs"),
    Section("webhooks", "Webhooks", Scope.WEBHOOKS_READ, "list_webhooks"),
    Section("models", "Models", Scope.JOBS_READ, "list_models"),
    Section("keys", "Keys", Scope.KEYS_ADMIN, "list_keys"),
)
"""In the order of the navigation."""
