"""``/v1/campaigns/{id}/proofs``: print sample rows and estimate the cost of the campaign."""

from flask import Response

from api.auth.bearer import scope_required
from api.campaigns import serializers
from api.campaigns.changes import notify_presses
from api.campaigns.queries import load_campaign, lock_campaign
from api.campaigns.run_schemas import USUAL_PROOFS, NewProofs, ProofList
from api.campaigns.schemas import CampaignPath
from api.runtime.context import current_context
from api.web import responses
from common.access.keys import Scope
from common.campaigns.printing import proofs

blueprint = responses.create_blueprint("proofs", "Sample prints of a campaign.", "/v1/campaigns")


@blueprint.post(
    "/<campaign_id>/proofs",
    **responses.describe_route(Scope.CAMPAIGNS_WRITE, {202: ProofList}, 400, 404, 408, 409, 413, 415, 422),
)
@scope_required(Scope.CAMPAIGNS_WRITE)
def create_proofs(path: CampaignPath, body: NewProofs) -> Response:
    """Print sample rows: the first, the one with the longest prompt, and random others. Proofs are charged and kept.

    The sample is deterministic, so asking for more proofs prints only the additional rows.
    """
    with lock_campaign(path) as (session, row):
        proofs.submit_proofs(session, row, USUAL_PROOFS if body.k is None else body.k)
    notify_presses()
    return _respond_proofs(path, 202)


@blueprint.get("/<campaign_id>/proofs", **responses.describe_route(Scope.CAMPAIGNS_READ, {200: ProofList}, 404))
@scope_required(Scope.CAMPAIGNS_READ)
def list_proofs(path: CampaignPath) -> Response:
    """List the proofs of a campaign and the quote derived from them."""
    return _respond_proofs(path, 200)


def _respond_proofs(path: CampaignPath, status: int) -> Response:
    context = current_context()
    with context.database.reading() as session:
        row = load_campaign(session, path)
        return responses.respond_json(serializers.serialize_proofs(session, row, context), status)
