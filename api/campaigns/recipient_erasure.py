"""``DELETE /v1/campaigns/{id}/recipients/{recipient_id}``: erase one person."""

from uuid import UUID

from flask import Response

from api.auth.bearer import caller, needs
from api.campaigns.result_schemas import Erasure, LineCost, RecipientPath
from api.runtime.context import services
from api.web import responses
from api.web.validation import not_found
from common.campaigns import queries
from common.campaigns.recipients import erasure
from common.clock import utcnow
from common.errors import StorageError
from common.keys import Scope
from common.logs import get_logger

blueprint = responses.create_blueprint("erasure", "Erasure of one person from a campaign.", "/v1/campaigns")
logger = get_logger(__name__)


@blueprint.delete(
    "/<campaign_id>/recipients/<path:recipient_id>",
    **responses.describe(Scope.CAMPAIGNS_WRITE, {200: Erasure}, 404, 409),
)
@needs(Scope.CAMPAIGNS_WRITE)
def erase_recipient(path: RecipientPath) -> Response:
    """Erase a recipient: their values, prompts and pictures go, and cannot be had back; what it cost stays.

    A picture that others share stays for them. Of the person, nobody can tell any more that they were there.
    """
    return responses.answer(erase(path.campaign_id, path.recipient_id))


def erase(campaign_id: UUID, recipient_id: str) -> Erasure:
    """Erase a person from the caller's campaign; raise RefusedError with ``not_found``."""
    context = services()
    with context.database.transaction() as session:
        campaign = queries.find(session, caller().owner, campaign_id, to_change=True)
        erased = None if campaign is None else erasure.erase(session, campaign, recipient_id)
    if campaign is None or erased is None:
        raise not_found()
    try:
        erasure.drop_objects(context.database, context.storage, erased)
    except StorageError as error:
        # They are hidden already, and the clerk finds what is left.
        logger.warning("objects left", campaign_id=str(campaign.id), reason=error.code)
    return Erasure(
        campaign_id=campaign.id,
        tombstone=erased.tombstone,
        pictures=len(erased.images),
        shared=erased.shared,
        jobs=erased.jobs,
        rejected_rows=erased.rejected_rows,
        cost=LineCost(amount=erased.amount, currency=campaign.currency),
        erased_at=utcnow(),
    )
