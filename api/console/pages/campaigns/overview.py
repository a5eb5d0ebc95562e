"""Campaigns: the list with progress and cost, and the form for a new one."""

from functools import partial
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from api.auth.bearer import current_caller
from api.campaigns import changes
from api.campaigns.changes import insert_campaign
from api.campaigns.schemas import MOST_IMAGES, NewCampaign
from api.console.access import current_user, require_scope
from api.console.pages.campaigns import form
from api.console.pages.campaigns.steps import find_current_view, load_campaign, parse_path
from api.console.query_params import paged, read_choice, read_filters
from api.console.refusals import current_refusal
from api.console.rendering import render_page
from api.console.routing import FormPage, register_page
from api.console.urls import redirect_to
from api.jobs import resolve
from api.runtime.context import current_context
from api.web.errors import RefusedError
from common.access.keys import Scope
from common.campaigns import progress, queries
from common.campaigns.spec import OnBlock
from common.jobs import styles
from common.states.campaigns import CampaignStatus
from common.tables import Campaign

PAGE_SIZE = 30
MOST_STYLES = 200
COPIED_IS_GONE = (
    "The campaign that this is a copy of was deleted, so the settings that this form does not show cannot be copied."
    " Send the form again to create the campaign without them."
)
BLOCKED = {
    OnBlock.FAIL: "leave it out and report it in the results",
    OnBlock.REROLL: "generate it again from another seed",
    OnBlock.FALLBACK: "use my own fallback image",
}
"""The options for an image that the safety check blocks, by label."""


@register_page("/campaigns", Scope.CAMPAIGNS_READ)
def list_campaigns() -> Response:
    """List campaigns, newest first."""
    status = read_choice("status", CampaignStatus)
    with current_context().database.reading() as session:
        page = paged(
            "campaigns", PAGE_SIZE, partial(queries.list_campaigns, session, current_caller().owner, status=status)
        )
        shares = progress.count_shares(session, page.rows)
    return render_page(
        "campaigns/list.html",
        rows=page.rows,
        shares=shares,
        next=page.next,
        filters=read_filters("status"),
        statuses=[*CampaignStatus],
    )


@register_page("/campaigns/new", Scope.CAMPAIGNS_WRITE)
def show_form() -> Response:
    """Show the form, prefilled from the campaign in ``like`` if given."""
    like = request.args.get("like")
    if current_refusal() is not None:
        copied = _find_copied()
        return _render_form(copied.body if copied is not None else {}, copied)
    if not like:
        return _render_form({})
    require_scope(Scope.CAMPAIGNS_READ)
    row = load_campaign(like)
    return _render_form(row.body, row)


@register_page(
    "/campaigns", Scope.CAMPAIGNS_WRITE, post=True, form=FormPage("campaigns_overview:show_form", form.name_field)
)
def create_campaign() -> Response:
    """Create the campaign; what the form does not show is that of the campaign that it copies, if any."""
    copied = _find_copied()
    if copied is None and request.form.get("like"):
        raise RefusedError("not_found", COPIED_IS_GONE)
    fields = form.parse_campaign_form(request.form, {} if copied is None else copied.body)
    made = insert_campaign(NewCampaign.model_validate(fields), fields, None).resource
    return redirect_to("campaigns_recipients:show_recipients", campaign_id=made.id, note="campaign-made")


@register_page("/campaigns/<campaign_id>", Scope.CAMPAIGNS_READ)
def show_campaign(campaign_id: str) -> Response:
    """Redirect to the current step of the campaign."""
    row = load_campaign(campaign_id)
    return redirect_to(find_current_view(row), campaign_id=row.id)


@register_page(
    "/campaigns/<campaign_id>/delete",
    Scope.CAMPAIGNS_WRITE,
    post=True,
    form=FormPage("campaigns_recipients:show_recipients"),
)
def delete_campaign(campaign_id: str) -> Response:
    """Delete a campaign that is not running, and its recipients."""
    changes.delete_campaign(parse_path(campaign_id))
    return redirect_to("campaigns_overview:list_campaigns", note="campaign-deleted")


def _find_copied() -> Campaign | None:
    """Return the campaign that the form copies; None if it copies none, or one that was deleted since."""
    like = request.form.get("like", "")
    if not like or not current_user().may(Scope.CAMPAIGNS_READ):
        return None
    try:
        return load_campaign(like)
    except RefusedError:
        return None


def _render_form(fields: dict[str, Any], copied: Campaign | None = None) -> Response:
    context = current_context()
    cards = context.models.cards()
    worn = []
    if current_user().may(Scope.STYLES_READ):
        with context.database.reading() as session:
            worn = [
                row.name
                for row in styles.list_newest_styles(session, current_caller().owner, after=None, limit=MOST_STYLES)
            ]
    return render_page(
        "campaigns/form.html",
        fields=form.fill_campaign_form(fields),
        copied=copied,
        hidden=[] if copied is None else form.name_hidden_settings(copied.body),
        cards=[card for card in cards if card.fault is None],
        default=resolve.find_default_model(cards, context.settings),
        styles=worn,
        blocked=BLOCKED,
        currency=context.settings.currency,
        most_images=MOST_IMAGES,
    )
