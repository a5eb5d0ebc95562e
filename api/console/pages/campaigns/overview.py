"""Campaigns: the list of them with what each has cost, and the form that makes one."""

from typing import Any

from flask import request
from werkzeug.wrappers import Response

from api.auth.bearer import caller
from api.campaigns import routes
from api.campaigns.schemas import MOST_IMAGES, NewCampaign
from api.campaigns.serializers import changing
from api.console.access import demand, visitor
from api.console.pages.campaigns import form
from api.console.pages.campaigns.steps import find, path_of, stand_of
from api.console.query_params import chosen, read_choice, read_cursor, write_cursor
from api.console.rendering import render
from api.console.routing import page
from api.console.urls import lead_to
from api.jobs import resolve
from api.runtime.context import services
from api.web.errors import RefusedError
from common.campaigns import deletion, progress, queries
from common.campaigns.spec import OnBlock
from common.jobs import styles
from common.keys import Scope
from common.tables.campaign_states import CampaignStatus

PAGE_SIZE = 30
MOST_STYLES = 200
BLOCKED = {
    OnBlock.FAIL: "leave it out, and say so in the results",
    OnBlock.REROLL: "print it again from another seed, a few times",
    OnBlock.FALLBACK: "show a picture of mine in its place",
}
"""What may be done about a picture that the safety check refuses, in words."""


@page("/campaigns", Scope.CAMPAIGNS_READ)
def list_campaigns() -> Response:
    """List campaigns, the newest first."""
    status = read_choice("status", CampaignStatus)
    after = read_cursor("campaigns")
    with services().database.reading() as session:
        found = queries.list_page(session, caller().owner, status=status, after=after, limit=PAGE_SIZE + 1)
        shown = found[:PAGE_SIZE]
        shares = progress.count_shares(session, shown)
    return render(
        "campaigns/list.html",
        rows=shown,
        shares=shares,
        next=write_cursor("campaigns", shown[-1].id if len(found) > PAGE_SIZE else None),
        filters=chosen("status"),
        statuses=[*CampaignStatus],
    )


@page("/campaigns/new", Scope.CAMPAIGNS_WRITE)
def show_form() -> Response:
    """Show the form, empty or filled in as for the campaign that the address names."""
    like = request.args.get("like")
    if not like:
        return _show_form({})
    demand(Scope.CAMPAIGNS_READ)
    return _show_form(find(like).wish)


@page("/campaigns", Scope.CAMPAIGNS_WRITE, post=True)
def create_campaign() -> Response:
    """Make the campaign that the form says; or show it again, with what is wrong with it."""
    wish = form.read(request.form)
    try:
        made, _ = routes.make(NewCampaign.model_validate(wish), wish)
    except RefusedError as refused:
        return _show_form(wish, refused)
    return lead_to("campaigns_recipients:show_recipients", campaign_id=made.id, note="campaign-made")


@page("/campaigns/<campaign_id>", Scope.CAMPAIGNS_READ)
def show_campaign(campaign_id: str) -> Response:
    """Lead to the step at which the campaign stands."""
    row = find(campaign_id)
    return lead_to(stand_of(row), campaign_id=row.id)


@page("/campaigns/<campaign_id>/delete", Scope.CAMPAIGNS_WRITE, post=True)
def delete_campaign(campaign_id: str) -> Response:
    """Delete a campaign that is not at work, with its recipients."""
    with changing(path_of(campaign_id)) as (session, row):
        deletion.hide(session, row)
    return lead_to("campaigns_overview:list_campaigns", note="campaign-deleted")


def _show_form(wish: dict[str, Any], refused: RefusedError | None = None) -> Response:
    context = services()
    cards = context.offer.cards()
    worn = []
    if visitor().may(Scope.STYLES_READ):
        with context.database.reading() as session:
            worn = [row.name for row in styles.list_newest(session, caller().owner, after=None, limit=MOST_STYLES)]
    return render(
        "campaigns/form.html",
        200 if refused is None else 422,
        wish=form.fill(wish),
        refused=refused,
        cards=cards,
        default=resolve.default_name(cards, context.settings),
        styles=worn,
        blocked=BLOCKED,
        currency=context.settings.currency,
        most_images=MOST_IMAGES,
    )
