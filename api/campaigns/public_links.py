"""``/v1/campaigns/{id}/links``: public links to a campaign's pictures, made for e-mails and revoked at once."""

from collections.abc import Callable
from uuid import UUID

from flask import Response

from api.auth.bearer import caller, needs
from api.campaigns.result_schemas import CampaignLinks, CampaignPath
from api.runtime.context import services
from api.web import responses
from api.web.validation import not_found
from common.campaigns import queries
from common.campaigns.results import public_links
from common.keys import Scope
from common.tables import Campaign

blueprint = responses.create_blueprint("links", "Links to a campaign's pictures, for e-mails.", "/v1/campaigns")


@blueprint.post("/<campaign_id>/links", **responses.describe(Scope.CAMPAIGNS_WRITE, {200: CampaignLinks}, 404))
@needs(Scope.CAMPAIGNS_WRITE)
def create_campaign_links(path: CampaignPath) -> Response:
    """Make a public link for every picture; they stand in the results, before a picture is printed already."""
    return _answer(change_links(path.campaign_id, public_links.make))


@blueprint.delete("/<campaign_id>/links", **responses.describe(Scope.CAMPAIGNS_WRITE, {200: CampaignLinks}, 404))
@needs(Scope.CAMPAIGNS_WRITE)
def revoke_campaign_links(path: CampaignPath) -> Response:
    """Have no link of the campaign lead anywhere any more; links that are made afterwards are others."""
    return _answer(change_links(path.campaign_id, public_links.revoke))


def change_links(campaign_id: UUID, change: Callable[[Campaign], None]) -> Campaign:
    """Make or revoke the links of the caller's campaign; raise RefusedError with ``not_found``."""
    with services().database.transaction() as session:
        campaign = queries.find(session, caller().owner, campaign_id, to_change=True)
        if campaign is None:
            raise not_found()
        change(campaign)
    return campaign


def _answer(campaign: Campaign) -> Response:
    shown = CampaignLinks(campaign_id=campaign.id, active=campaign.has_links, version=campaign.link_version)
    return responses.answer(shown)
