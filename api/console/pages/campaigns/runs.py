"""A running campaign: its progress and spending, and the actions on it."""

from decimal import Decimal
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from api.campaigns import changes, queries, serializers
from api.campaigns.schemas import NewBudget
from api.console.pages.campaigns.steps import parse_path, render_step
from api.console.rendering import render_live_fragment
from api.console.routing import FormPage, register_page
from api.console.urls import redirect_to
from api.runtime.context import current_context
from api.web.validation import refuse_not_found
from common.access.keys import Scope
from common.campaigns.lifecycle import RetryScope
from common.states.campaigns import CampaignStatus
from common.tables import Campaign

NOTES = {
    "start": "campaign-started",
    "pause": "campaign-paused",
    "resume": "campaign-started",
    "cancel": "campaign-canceled",
    "retry": "campaign-retried",
    "budget": "campaign-budget",
}
UNCHANGED_NOTES = {"cancel": "campaign-canceled-before", "retry": "campaign-not-retried"}
"""The notices if there was nothing to do."""


@register_page("/campaigns/<campaign_id>/watch", Scope.CAMPAIGNS_READ)
def show_progress(campaign_id: str) -> Response:
    """Show the progress of the campaign."""
    row, found = _load_progress(campaign_id)
    return render_step("watch.html", row, "Print", **found)


@register_page("/campaigns/<campaign_id>/watch/now", Scope.CAMPAIGNS_READ, live=True)
def show_progress_now(campaign_id: str) -> Response:
    """Return the live part of the page, or 304 if it has not changed."""
    row, found = _load_progress(campaign_id)
    return render_live_fragment("campaigns/watch_now.html", repr(found["shown"].model_dump()), campaign=row, **found)


@register_page(
    "/campaigns/<campaign_id>/do/<act>", Scope.CAMPAIGNS_WRITE, post=True, form=FormPage("campaigns_runs:show_progress")
)
def act_on_campaign(campaign_id: str, act: str) -> Response:
    """Start, pause, resume, cancel or retry the campaign, or change its budget."""
    if act not in changes.ACTIONS:
        raise refuse_not_found()
    has_changed = changes.act_on_campaign(parse_path(campaign_id), act, **_read_arguments(act))
    note = NOTES[act] if has_changed else UNCHANGED_NOTES[act]
    return redirect_to("campaigns_runs:show_progress", campaign_id=campaign_id, note=note)


def _read_arguments(act: str) -> dict[str, object]:
    """Return what the form says about an action, beyond its name."""
    if act == "retry":
        only = request.form.get("only", "")
        return {"only": RetryScope(only) if only in {*RetryScope} else None}
    if act == "budget":
        body = NewBudget.model_validate({"amount": request.form.get("amount", "").strip()})
        return {"amount": Decimal(body.amount)}
    return {}


def _load_progress(text: str) -> tuple[Campaign, dict[str, Any]]:
    with current_context().database.reading() as session:
        row = queries.load_campaign(session, parse_path(text))
        shown = serializers.serialize_campaign(session, row)
    prints = shown.progress.prints if shown.progress is not None else None
    moves = row.status is CampaignStatus.RUNNING or (prints is not None and prints.ordered > 0)
    waits = row.status is CampaignStatus.APPROVED and row.start_at is not None
    return row, {"shown": shown, "is_live": moves or waits}
