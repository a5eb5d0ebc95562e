"""``/v1/campaigns/{id}/proofs``: print a few rows to look at, and learn what the whole will cost."""

from flask import Response

from api.auth.bearer import needs
from api.campaigns import serializers
from api.campaigns.actions import ring
from api.campaigns.run_schemas import USUAL_PROOFS, NewProofs, ProofList
from api.campaigns.schemas import CampaignPath
from api.campaigns.serializers import changing
from api.runtime.context import services
from api.web import responses
from common.campaigns.printing import proofs
from common.keys import Scope

blueprint = responses.create_blueprint("proofs", "Some rows of a campaign, printed to look at.", "/v1/campaigns")


@blueprint.post(
    "/<campaign_id>/proofs",
    **responses.describe(Scope.CAMPAIGNS_WRITE, {202: ProofList}, 400, 404, 408, 409, 413, 415, 422),
)
@needs(Scope.CAMPAIGNS_WRITE)
def create_proofs(path: CampaignPath, body: NewProofs) -> Response:
    """Print the first row, the one with the longest prompt, and others by lot; they are charged, and stay.

    The sample is the same each time, so asking for more prints only what is more.
    """
    with changing(path) as (session, row):
        proofs.begin(session, row, USUAL_PROOFS if body.k is None else body.k)
    ring()
    return _answer(path, 202)


@blueprint.get("/<campaign_id>/proofs", **responses.describe(Scope.CAMPAIGNS_READ, {200: ProofList}, 404))
@needs(Scope.CAMPAIGNS_READ)
def list_proofs(path: CampaignPath) -> Response:
    """Look at the proofs, and at what they tell of the whole campaign."""
    return _answer(path, 200)


def _answer(path: CampaignPath, status: int) -> Response:
    context = services()
    with context.database.reading() as session:
        row = serializers.find(session, path)
        return responses.answer(serializers.show_proofs(session, row, context), status)
