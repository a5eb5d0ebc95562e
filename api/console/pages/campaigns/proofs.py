"""Proofs and what they tell of the whole, and the approval without which nothing more is printed."""

from flask import request
from werkzeug.wrappers import Response

from api.auth.bearer import caller
from api.campaigns import serializers
from api.campaigns.actions import ring
from api.campaigns.run_schemas import MOST_PROOFS, USUAL_PROOFS, NewProofs
from api.campaigns.schemas import Approval, Campaign
from api.campaigns.serializers import changing
from api.console.pages.campaigns.steps import find, path_of, render_step
from api.console.rendering import render_live
from api.console.routing import page
from api.console.urls import lead_to
from api.runtime.context import services
from common.campaigns import lifecycle
from common.campaigns.printing import proofs
from common.campaigns.printing.ordering import NOT_AS_APPROVED
from common.campaigns.recipients.lists import SUPPLIED
from common.keys import Scope
from common.tables.campaign_states import CampaignStatus


@page("/campaigns/<campaign_id>/proofs", Scope.CAMPAIGNS_READ)
def show_proofs(campaign_id: str) -> Response:
    """Show the proofs and the quote."""
    row = find(campaign_id)
    with services().database.reading() as session:
        found = serializers.show_proofs(session, row, services())
    return render_step("proofs.html", row, "Proofs", proofs=found, usual=USUAL_PROOFS, most=MOST_PROOFS)


@page("/campaigns/<campaign_id>/proofs/now", Scope.CAMPAIGNS_READ, live=True)
def show_proofs_now(campaign_id: str) -> Response:
    """Show the part of the page that changes; nothing if the browser has it."""
    row = find(campaign_id)
    with services().database.reading() as session:
        found = serializers.show_proofs(session, row, services())
    version = repr(found.model_dump(exclude={"data": {"__all__": {"url", "thumbnail_url"}}}))
    return render_live(
        "campaigns/proofs_now.html", version, campaign=row, proofs=found, usual=USUAL_PROOFS, most=MOST_PROOFS
    )


@page("/campaigns/<campaign_id>/proofs", Scope.CAMPAIGNS_WRITE, post=True)
def print_proofs(campaign_id: str) -> Response:
    """Print a few rows; they are charged, and stay."""
    k = request.form.get("k", "")
    body = NewProofs.model_validate({"k": int(k)} if k.isdecimal() else {})
    with changing(path_of(campaign_id)) as (session, row):
        proofs.begin(session, row, USUAL_PROOFS if body.k is None else body.k)
    ring()
    return lead_to("campaigns_proofs:show_proofs", campaign_id=campaign_id)


@page("/campaigns/<campaign_id>/approve", Scope.CAMPAIGNS_APPROVE)
def show_approval(campaign_id: str) -> Response:
    """Show all that an approval would name, and what it would cost."""
    with services().database.reading() as session:
        row = serializers.find(session, path_of(campaign_id))
        shown = serializers.show(session, row, with_progress=False)
    return render_step("approve.html", row, "Approve", shown=shown, is_wanted=_wants_approval(shown))


@page("/campaigns/<campaign_id>/approve", Scope.CAMPAIGNS_APPROVE, post=True)
def approve_campaign(campaign_id: str) -> Response:
    """Approve what was looked at, which its digest names, and nothing else."""
    body = Approval.model_validate({"spec_digest": request.form.get("spec_digest", "")})
    with changing(path_of(campaign_id)) as (session, row):
        lifecycle.approve(session, row, body.spec_digest, caller().key_id, services().settings)
    return lead_to("campaigns_runs:show_watch", campaign_id=campaign_id, note="campaign-approved")


def _wants_approval(shown: Campaign) -> bool:
    """Tell whether there is something that nobody has approved yet, and may be now."""
    if shown.status is CampaignStatus.READY or shown.held_reason == NOT_AS_APPROVED:
        return True
    return shown.status in SUPPLIED and shown.recipients.approved < shown.recipients.accepted
