"""``/v1/campaigns``: create, list, get, update, approve and delete campaigns."""

from functools import partial

from flask import Response, request

from api.auth.bearer import current_caller, scope_required
from api.campaigns import changes, serializers
from api.campaigns.queries import load_campaign, lock_campaign
from api.campaigns.schemas import (
    Approval,
    Campaign,
    CampaignChanges,
    CampaignPage,
    CampaignPath,
    CampaignQuery,
    NewCampaign,
    NewCampaignHeaders,
)
from api.jobs.submit import build_reservation
from api.runtime.context import current_context
from api.web import responses
from common.access.keys import Scope
from common.campaigns import lifecycle, queries
from common.db.ids import create_id

blueprint = responses.create_blueprint(
    "campaigns", "Image campaigns: one template, many recipients, one budget.", "/v1/campaigns"
)

CREATED = {
    201: responses.describe_success(
        Campaign,
        "The campaign was created",
        {
            "Location": "URL of the campaign.",
            "Idempotency-Replayed": "`true` if an earlier request with the same key created this campaign.",
        },
    )
}


@blueprint.post("", **responses.describe_route(Scope.CAMPAIGNS_WRITE, CREATED, 400, 408, 409, 413, 415, 422))
@scope_required(Scope.CAMPAIGNS_WRITE)
def create_campaign(header: NewCampaignHeaders, body: NewCampaign) -> Response:
    """Create a campaign. Upload its recipients next."""
    raw = request.get_json()
    created = changes.insert_campaign(body, raw, build_reservation(header.idempotency_key, raw, create_id()))
    headers = {"Location": f"{current_context().path_prefix}/v1/campaigns/{created.resource.id}"}
    if not created.is_new:
        headers["Idempotency-Replayed"] = "true"
    return responses.respond_json(created.resource, 201, headers)


@blueprint.get("", **responses.describe_route(Scope.CAMPAIGNS_READ, {200: CampaignPage}, 400, 422))
@scope_required(Scope.CAMPAIGNS_READ)
def list_campaigns(query: CampaignQuery) -> Response:
    """List campaigns, newest first."""
    context, owner = current_context(), current_caller().owner
    with context.database.reading() as session:
        page = context.cursors.paged(
            f"{owner}/campaigns", query, partial(queries.list_campaigns, session, owner, status=query.status)
        )
        shown = [serializers.serialize_campaign(session, row, with_progress=False) for row in page.rows]
    return responses.respond_json(CampaignPage(data=shown, has_more=page.has_more, next=page.next))


@blueprint.get("/<campaign_id>", **responses.describe_route(Scope.CAMPAIGNS_READ, {200: Campaign}, 404))
@scope_required(Scope.CAMPAIGNS_READ)
def get_campaign(path: CampaignPath) -> Response:
    """Get a campaign."""
    with current_context().database.reading() as session:
        row = load_campaign(session, path)
        return responses.respond_json(serializers.serialize_campaign(session, row))


@blueprint.patch(
    "/<campaign_id>",
    **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 400, 404, 408, 409, 413, 415, 422),
)
@scope_required(Scope.CAMPAIGNS_WRITE)
def update_campaign(path: CampaignPath, body: CampaignChanges) -> Response:
    """Update a campaign that is not approved yet. If its template or styles change, every row is checked again."""
    return responses.respond_json(changes.update_campaign(path, body, request.get_json()))


@blueprint.delete("/<campaign_id>", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {204: None}, 404, 409))
@scope_required(Scope.CAMPAIGNS_WRITE)
def delete_campaign(path: CampaignPath) -> Response:
    """Delete a campaign that is not running, with its recipients. Its images follow the usual retention period."""
    changes.delete_campaign(path)
    return Response(status=204)


@blueprint.post(
    "/<campaign_id>/approve",
    **responses.describe_route(Scope.CAMPAIGNS_APPROVE, {200: Campaign}, 400, 404, 408, 409, 413, 415, 422),
)
@scope_required(Scope.CAMPAIGNS_APPROVE)
def approve_campaign(path: CampaignPath, body: Approval) -> Response:
    """Approve exactly what `spec_digest` covers: template, styles, recipients, model, safety policy, seeds, budget."""
    context = current_context()
    with lock_campaign(path) as (session, row):
        lifecycle.approve_campaign(session, row, body.spec_digest, current_caller(), context.settings)
        session.flush()
        return responses.respond_json(serializers.serialize_campaign(session, row))
