"""A campaign at work: what is printed and spent so far, and what may be done about it."""

from decimal import Decimal
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from api.campaigns import serializers
from api.campaigns.actions import ring
from api.campaigns.schemas import NewBudget
from api.campaigns.serializers import changing
from api.console.pages.campaigns.steps import path_of, render_step
from api.console.rendering import render_live
from api.console.routing import page
from api.console.urls import lead_to
from api.runtime.context import services
from api.web.validation import not_found
from common.campaigns import lifecycle
from common.campaigns.lifecycle import Only
from common.keys import Scope
from common.tables import Campaign
from common.tables.campaign_states import CampaignStatus

NOTES = {
    "start": "campaign-started",
    "pause": "campaign-paused",
    "resume": "campaign-started",
    "cancel": "campaign-canceled",
    "retry": "campaign-retried",
    "budget": "campaign-budget",
}


@page("/campaigns/<campaign_id>/watch", Scope.CAMPAIGNS_READ)
def show_watch(campaign_id: str) -> Response:
    """Show how the campaign gets on."""
    row, found = _read(campaign_id)
    return render_step("watch.html", row, "Print", **found)


@page("/campaigns/<campaign_id>/watch/now", Scope.CAMPAIGNS_READ, live=True)
def show_watch_now(campaign_id: str) -> Response:
    """Show the part of the page that changes; nothing if the browser has it."""
    row, found = _read(campaign_id)
    return render_live("campaigns/watch_now.html", repr(found["shown"].model_dump()), campaign=row, **found)


@page("/campaigns/<campaign_id>/do/<act>", Scope.CAMPAIGNS_WRITE, post=True)
def act_on_campaign(campaign_id: str, act: str) -> Response:
    """Start, pause, resume or cancel the campaign, try prints again, or change its budget."""
    if act not in NOTES:
        raise not_found()
    body = NewBudget.model_validate({"amount": request.form.get("amount", "").strip()}) if act == "budget" else None
    settings = services().settings
    with changing(path_of(campaign_id)) as (session, row):
        match act:
            case "start":
                lifecycle.start(session, row, settings)
            case "pause":
                lifecycle.pause(session, row)
            case "resume":
                lifecycle.resume(session, row, settings)
            case "cancel":
                lifecycle.cancel(session, row)
            case "retry":
                only = request.form.get("only", "")
                lifecycle.retry(session, row, Only(only) if only in {*Only} else None, settings)
            case _:
                lifecycle.raise_budget(session, row, Decimal(body.amount if body is not None else "0"), settings)
    ring()
    return lead_to("campaigns_runs:show_watch", campaign_id=campaign_id, note=NOTES[act])


def _read(text: str) -> tuple[Campaign, dict[str, Any]]:
    with services().database.reading() as session:
        row = serializers.find(session, path_of(text))
        shown = serializers.show(session, row)
    prints = shown.progress.prints if shown.progress is not None else None
    moves = row.status is CampaignStatus.RUNNING or (prints is not None and prints.ordered > 0)
    waits = row.status is CampaignStatus.APPROVED and row.start_at is not None
    return row, {"shown": shown, "is_live": moves or waits}
