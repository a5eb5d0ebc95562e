"""``/v1/campaigns/{id}/…``: start, pause, resume, cancel and retry campaigns, and change their budget."""

from decimal import Decimal

from flask import Response

from api.auth.bearer import scope_required
from api.campaigns import serializers
from api.campaigns.run_schemas import RetryQuery
from api.campaigns.schemas import Campaign, CampaignPath, NewBudget
from api.campaigns.serializers import lock_campaign
from api.runtime.context import current_context
from api.web import responses
from common.campaigns import lifecycle
from common.campaigns.lifecycle import RetryScope
from common.errors import BrokerUnavailableError
from common.jobs import dispatch
from common.keys import Scope
from common.logs import get_logger
from common.tables.campaign_states import CampaignStatus

blueprint = responses.create_blueprint("campaign runs", "Run control for campaigns.", "/v1/campaigns")

log = get_logger(__name__)


@blueprint.post("/<campaign_id>/start", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409))
@scope_required(Scope.CAMPAIGNS_WRITE)
def start_campaign(path: CampaignPath) -> Response:
    """Start an approved campaign now, or print rows that were approved after it completed."""
    with lock_campaign(path) as (session, row):
        lifecycle.start_campaign(session, row, current_context().settings)
    return _respond_running(path)


@blueprint.post("/<campaign_id>/pause", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409))
@scope_required(Scope.CAMPAIGNS_WRITE)
def pause_campaign(path: CampaignPath) -> Response:
    """Pause a campaign. Prints that a press has already started are finished and charged."""
    with lock_campaign(path) as (session, row):
        lifecycle.pause_campaign(session, row)
    return _respond_campaign(path)


@blueprint.post("/<campaign_id>/resume", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409))
@scope_required(Scope.CAMPAIGNS_WRITE)
def resume_campaign(path: CampaignPath) -> Response:
    """Resume a paused or held campaign. It is held again if the reason still applies."""
    with lock_campaign(path) as (session, row):
        lifecycle.resume_campaign(session, row, current_context().settings)
    return _respond_running(path)


@blueprint.post("/<campaign_id>/cancel", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409))
@scope_required(Scope.CAMPAIGNS_WRITE)
def cancel_campaign(path: CampaignPath) -> Response:
    """Cancel a campaign permanently. Finished prints stay; prints in progress are finished and charged."""
    with lock_campaign(path) as (session, row):
        if row.status is not CampaignStatus.CANCELED:
            lifecycle.cancel_campaign(session, row)
    return _respond_campaign(path)


@blueprint.post(
    "/<campaign_id>/retry", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 404, 409, 422)
)
@scope_required(Scope.CAMPAIGNS_WRITE)
def retry_campaign(path: CampaignPath, query: RetryQuery) -> Response:
    """Retry prints that produced no image. Blocked prints are retried with another seed."""
    with lock_campaign(path) as (session, row):
        lifecycle.retry_prints(
            session, row, None if query.only is None else RetryScope(query.only), current_context().settings
        )
    return _respond_running(path)


@blueprint.post(
    "/<campaign_id>/budget",
    **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 400, 404, 408, 409, 413, 415, 422),
)
@scope_required(Scope.CAMPAIGNS_WRITE)
def change_budget(path: CampaignPath, body: NewBudget) -> Response:
    """Change the budget of a campaign, to at least the amount spent and held. A campaign held for budget resumes."""
    with lock_campaign(path) as (session, row):
        lifecycle.raise_budget(session, row, Decimal(body.amount), current_context().settings)
    return _respond_running(path)


def notify_presses() -> None:
    """Notify the presses of newly queued jobs now, rather than wait for the clerk to do it."""
    try:
        dispatch.notify_due_jobs(current_context().database, current_context().bell)
    except BrokerUnavailableError as error:
        log.warning("notification_failed", reason=error.code)


def _respond_running(path: CampaignPath) -> Response:
    notify_presses()
    return _respond_campaign(path)


def _respond_campaign(path: CampaignPath) -> Response:
    with current_context().database.reading() as session:
        row = serializers.load_campaign(session, path)
        return responses.respond_json(serializers.serialize_campaign(session, row))
