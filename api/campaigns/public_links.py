"""``/v1/campaigns/{id}/links``: create and revoke public links to a campaign's images, for use in email."""

from flask import Response

from api.auth.bearer import scope_required
from api.campaigns.queries import lock_campaign, record_change
from api.campaigns.result_schemas import CampaignLinks
from api.campaigns.schemas import CampaignPath
from api.web import responses
from common.access.keys import Scope
from common.campaigns.results import public_links
from common.states.audit import Act
from common.tables import Campaign

blueprint = responses.create_blueprint(
    "links", "Public links to a campaign's images, for use in email.", "/v1/campaigns"
)


@blueprint.post("/<campaign_id>/links", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: CampaignLinks}, 404))
@scope_required(Scope.CAMPAIGNS_WRITE)
def create_campaign_links(path: CampaignPath) -> Response:
    """Create a public link for every image. The results contain the links, even before an image is printed."""
    return _respond_links(change_links(path, are_valid=True))


@blueprint.delete("/<campaign_id>/links", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: CampaignLinks}, 404))
@scope_required(Scope.CAMPAIGNS_WRITE)
def revoke_campaign_links(path: CampaignPath) -> Response:
    """Revoke all public links of a campaign. Links created later have different URLs."""
    return _respond_links(change_links(path, are_valid=False))


def change_links(path: CampaignPath, *, are_valid: bool) -> Campaign:
    """Create or revoke the public links of the caller's campaign and return it; raise RefusedError."""
    act = Act.CAMPAIGN_LINKS_CREATED if are_valid else Act.CAMPAIGN_LINKS_REVOKED
    change = public_links.create_links if are_valid else public_links.revoke_links
    with lock_campaign(path) as (session, campaign), record_change(session, campaign, act):
        change(campaign)
    return campaign


def _respond_links(campaign: Campaign) -> Response:
    shown = CampaignLinks(campaign_id=campaign.id, active=campaign.has_links, version=campaign.link_version)
    return responses.respond_json(shown)
