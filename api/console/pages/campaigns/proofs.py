"""Proofs, the quote based on them, and the approval of the campaign."""

from flask import request
from werkzeug.wrappers import Response

from api.auth.bearer import current_caller
from api.campaigns import queries, serializers
from api.campaigns.changes import notify_presses
from api.campaigns.run_schemas import MOST_PROOFS, USUAL_PROOFS, NewProofs
from api.campaigns.schemas import Approval, Campaign
from api.console.pages.campaigns.steps import load_campaign, parse_path, render_step
from api.console.pages.generate_form import parse_number
from api.console.rendering import render_live_fragment
from api.console.routing import FormPage, register_page
from api.console.urls import redirect_to
from api.runtime.context import current_context
from common.access.keys import Scope
from common.campaigns import lifecycle
from common.campaigns.printing import proofs
from common.campaigns.printing.ordering import NOT_AS_APPROVED
from common.campaigns.recipients.lists import EXTENDABLE
from common.states.campaigns import CampaignStatus


@register_page("/campaigns/<campaign_id>/proofs", Scope.CAMPAIGNS_READ)
def show_proofs(campaign_id: str) -> Response:
    """Show the proofs and the quote."""
    row = load_campaign(campaign_id)
    with current_context().database.reading() as session:
        found = serializers.serialize_proofs(session, row, current_context())
    return render_step("proofs.html", row, "Proofs", proofs=found, usual=USUAL_PROOFS, most=MOST_PROOFS)


@register_page("/campaigns/<campaign_id>/proofs/now", Scope.CAMPAIGNS_READ, live=True)
def show_proofs_now(campaign_id: str) -> Response:
    """Return the live part of the page, or 304 if it has not changed."""
    row = load_campaign(campaign_id)
    with current_context().database.reading() as session:
        found = serializers.serialize_proofs(session, row, current_context())
    version = repr(found.model_dump(exclude={"data": {"__all__": {"url", "thumbnail_url"}}}))
    return render_live_fragment(
        "campaigns/proofs_now.html", version, campaign=row, proofs=found, usual=USUAL_PROOFS, most=MOST_PROOFS
    )


@register_page(
    "/campaigns/<campaign_id>/proofs", Scope.CAMPAIGNS_WRITE, post=True, form=FormPage("campaigns_proofs:show_proofs")
)
def print_proofs(campaign_id: str) -> Response:
    """Print proofs, which are charged and kept."""
    k = request.form.get("k", "").strip()
    body = NewProofs.model_validate({"k": parse_number(k)} if k else {})
    with queries.lock_campaign(parse_path(campaign_id)) as (session, row):
        proofs.submit_proofs(session, row, USUAL_PROOFS if body.k is None else body.k)
    notify_presses()
    return redirect_to("campaigns_proofs:show_proofs", campaign_id=campaign_id)


@register_page("/campaigns/<campaign_id>/approve", Scope.CAMPAIGNS_APPROVE)
def show_approval(campaign_id: str) -> Response:
    """Show what an approval covers and what it will cost."""
    with current_context().database.reading() as session:
        row = queries.load_campaign(session, parse_path(campaign_id))
        shown = serializers.serialize_campaign(session, row, with_progress=False)
    return render_step("approve.html", row, "Approve", shown=shown, is_wanted=_needs_approval(shown))


@register_page(
    "/campaigns/<campaign_id>/approve",
    Scope.CAMPAIGNS_APPROVE,
    post=True,
    form=FormPage("campaigns_proofs:show_approval"),
)
def approve_campaign(campaign_id: str) -> Response:
    """Approve the version of the campaign that the digest identifies."""
    body = Approval.model_validate({"spec_digest": request.form.get("spec_digest", "")})
    with queries.lock_campaign(parse_path(campaign_id)) as (session, row):
        lifecycle.approve_campaign(session, row, body.spec_digest, current_caller(), current_context().settings)
    return redirect_to("campaigns_runs:show_progress", campaign_id=campaign_id, note="campaign-approved")


def _needs_approval(shown: Campaign) -> bool:
    """Return whether the campaign has something to approve now."""
    if shown.status is CampaignStatus.READY or shown.held_reason == NOT_AS_APPROVED:
        return True
    return shown.status in EXTENDABLE and shown.recipients.approved < shown.recipients.accepted
