"""``/v1/campaigns/{id}/links``: create and revoke public links to a campaign's images, for use in email."""

from collections.abc import Callable
from uuid import UUID

from flask import Response

from api.auth.bearer import current_caller, scope_required
from api.campaigns.result_schemas import CampaignLinks, CampaignPath
from api.runtime.context import current_context
from api.web import responses
from api.web.validation import refuse_not_found
from common.campaigns import queries
from common.campaigns.results import public_links
from common.keys import Scope
from common.tables import Campaign

blueprint = responses.create_blueprint(
    "links", "Public links to a campaign's images, for use in email.", "/v1/campaigns"
)


@blueprint.post("/<campaign_id>/links", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: CampaignLinks}, 404))
@scope_required(Scope.CAMPAIGNS_WRITE)
def create_campaign_links(path: CampaignPath) -> Response:
    """Create a public link for every image. The results contain the links, even before an image is printed."""
    return _respond_links(change_links(path.campaign_id, public_links.create_links))


@blueprint.delete("/<campaign_id>/links", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: CampaignLinks}, 404))
@scope_required(Scope.CAMPAIGNS_WRITE)
def revoke_campaign_links(path: CampaignPath) -> Response:
    """Revoke all public links of a campaign. Links created later have different URLs."""
    return _respond_links(change_links(path.campaign_id, public_links.revoke_links))


def change_links(campaign_id: UUID, change: Callable[[Campaign], None]) -> Campaign:
    """Create or revoke the links of the caller's campaign; raise RefusedError with ``not_found``."""
    with current_context().database.transaction() as session:
        campaign = queries.find_campaign(session, current_caller().owner, campaign_id, to_change=True)
        if campaign is None:
            raise refuse_not_found()
        change(campaign)
    return campaign


def _respond_links(campaign: Campaign) -> Response:
    shown = CampaignLinks(campaign_id=campaign.id, active=campaign.has_links, version=campaign.link_version)
    return responses.respond_json(shown)
