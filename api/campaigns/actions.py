"""``/v1/campaigns/{id}/…``: start, pause, resume, cancel and retry campaigns, and change their budget."""

from decimal import Decimal

from flask import Response

from api.auth.bearer import scope_required
from api.campaigns import changes, serializers
from api.campaigns.queries import load_campaign
from api.campaigns.run_schemas import RetryQuery
from api.campaigns.schemas import Campaign, CampaignPath, NewBudget
from api.runtime.context import current_context
from api.web import responses
from common.access.keys import Scope
from common.campaigns.lifecycle import RetryScope

blueprint = responses.create_blueprint("campaign runs", "Run control for campaigns.", "/v1/campaigns")


@blueprint.post("/<campaign_id>/start", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409))
@scope_required(Scope.CAMPAIGNS_WRITE)
def start_campaign(path: CampaignPath) -> Response:
    """Start an approved campaign now, or print rows that were approved after it completed."""
    return _respond_changed(path, "start")


@blueprint.post("/<campaign_id>/pause", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409))
@scope_required(Scope.CAMPAIGNS_WRITE)
def pause_campaign(path: CampaignPath) -> Response:
    """Pause a campaign. Prints that a press has already started are finished and charged."""
    return _respond_changed(path, "pause")


@blueprint.post("/<campaign_id>/resume", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409))
@scope_required(Scope.CAMPAIGNS_WRITE)
def resume_campaign(path: CampaignPath) -> Response:
    """Resume a paused or held campaign. It is held again if the reason still applies."""
    return _respond_changed(path, "resume")


@blueprint.post("/<campaign_id>/cancel", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409))
@scope_required(Scope.CAMPAIGNS_WRITE)
def cancel_campaign(path: CampaignPath) -> Response:
    """Cancel a campaign permanently. Finished prints stay; prints in progress are finished and charged."""
    return _respond_changed(path, "cancel")


@blueprint.post(
    "/<campaign_id>/retry", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409, 422)
)
@scope_required(Scope.CAMPAIGNS_WRITE)
def retry_campaign(path: CampaignPath, query: RetryQuery) -> Response:
    """Retry prints that produced no image. Blocked prints are retried with another seed."""
    return _respond_changed(path, "retry", only=None if query.only is None else RetryScope(query.only))


@blueprint.post(
    "/<campaign_id>/budget",
    **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 400, 404, 408, 409, 413, 415, 422),
)
@scope_required(Scope.CAMPAIGNS_WRITE)
def change_budget(path: CampaignPath, body: NewBudget) -> Response:
    """Change the budget of a campaign, to at least the amount spent and held. A campaign held for budget resumes.

    To raise the budget of an approved campaign, the API key needs the scope `campaigns:approve` too.
    """
    return _respond_changed(path, "budget", amount=Decimal(body.amount))


def _respond_changed(path: CampaignPath, action: str, **arguments: object) -> Response:
    changes.act_on_campaign(path, action, **arguments)
    with current_context().database.reading() as session:
        row = load_campaign(session, path)
        return responses.respond_json(serializers.serialize_campaign(session, row))
