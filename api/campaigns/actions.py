"""``/v1/campaigns/{id}/…``: start, stop and resume campaigns, try prints again, change the budget."""

from decimal import Decimal

from flask import Response

from api.auth.bearer import needs
from api.campaigns import serializers
from api.campaigns.run_schemas import RetryQuery
from api.campaigns.schemas import Campaign, CampaignPath, NewBudget
from api.campaigns.serializers import changing
from api.runtime.context import services
from api.web import responses
from common.campaigns import lifecycle
from common.campaigns.lifecycle import Only
from common.errors import BellUnavailableError
from common.jobs import dispatch
from common.keys import Scope
from common.logs import get_logger
from common.tables.campaign_states import CampaignStatus

blueprint = responses.create_blueprint("campaign runs", "What is done with a campaign.", "/v1/campaigns")

logger = get_logger(__name__)


@blueprint.post("/<campaign_id>/start", **responses.describe(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409))
@needs(Scope.CAMPAIGNS_WRITE)
def start_campaign(path: CampaignPath) -> Response:
    """Start an approved campaign now, or print the rows that were approved after it was completed."""
    with changing(path) as (session, row):
        lifecycle.start(session, row, services().settings)
    return _answer_running(path)


@blueprint.post("/<campaign_id>/pause", **responses.describe(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409))
@needs(Scope.CAMPAIGNS_WRITE)
def pause_campaign(path: CampaignPath) -> Response:
    """Have a campaign print nothing more for now; what a press has in hand is finished, and charged."""
    with changing(path) as (session, row):
        lifecycle.pause(session, row)
    return _answer(path)


@blueprint.post("/<campaign_id>/resume", **responses.describe(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409))
@needs(Scope.CAMPAIGNS_WRITE)
def resume_campaign(path: CampaignPath) -> Response:
    """Have a campaign go on that is paused or held; it is held again if the reason still holds."""
    with changing(path) as (session, row):
        lifecycle.resume(session, row, services().settings)
    return _answer_running(path)


@blueprint.post("/<campaign_id>/cancel", **responses.describe(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409))
@needs(Scope.CAMPAIGNS_WRITE)
def cancel_campaign(path: CampaignPath) -> Response:
    """End a campaign for good; what is printed stays, and what a press has in hand is finished, and charged."""
    with changing(path) as (session, row):
        if row.status is not CampaignStatus.CANCELED:
            lifecycle.cancel(session, row)
    return _answer(path)


@blueprint.post("/<campaign_id>/retry", **responses.describe(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409, 422))
@needs(Scope.CAMPAIGNS_WRITE)
def retry_campaign(path: CampaignPath, query: RetryQuery) -> Response:
    """Try prints again that came to nothing; what was blocked is rolled with another seed."""
    with changing(path) as (session, row):
        lifecycle.retry(session, row, None if query.only is None else Only(query.only), services().settings)
    return _answer_running(path)


@blueprint.post(
    "/<campaign_id>/budget",
    **responses.describe(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 400, 404, 408, 409, 413, 415, 422),
)
@needs(Scope.CAMPAIGNS_WRITE)
def change_budget(path: CampaignPath, body: NewBudget) -> Response:
    """Change the budget of a campaign, to no less than is spent and held; one that was held for it goes on."""
    with changing(path) as (session, row):
        lifecycle.raise_budget(session, row, Decimal(body.amount), services().settings)
    return _answer_running(path)


def ring() -> None:
    """Ring for what was queued just now; the clerk would, a moment later."""
    try:
        dispatch.top_up(services().database, services().bell)
    except BellUnavailableError as error:
        logger.warning("bell unheard", reason=error.code)


def _answer_running(path: CampaignPath) -> Response:
    ring()
    return _answer(path)


def _answer(path: CampaignPath) -> Response:
    with services().database.reading() as session:
        row = serializers.find(session, path)
        return responses.answer(serializers.show(session, row))
