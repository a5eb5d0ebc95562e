"""``DELETE /v1/campaigns/{id}/recipients/{recipient_id}``: erase the personal data of one recipient."""

from flask import Response

from api.auth.bearer import current_caller, scope_required
from api.campaigns.queries import lock_campaign
from api.campaigns.result_schemas import Erasure, LineCost, RecipientPath
from api.runtime.context import current_context
from api.web import responses
from api.web.validation import refuse_not_found
from common.access import audit
from common.access.audit import AuditObject
from common.access.keys import Scope
from common.campaigns.recipients import erasure
from common.clock import utcnow
from common.errors import StorageError
from common.logs import get_logger
from common.states.audit import Act, ObjectKind

blueprint = responses.create_blueprint("erasure", "Erasure of a recipient's personal data.", "/v1/campaigns")
log = get_logger(__name__)


@blueprint.delete(
    "/<campaign_id>/recipients/<path:recipient_id>",
    **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Erasure}, 404, 409),
)
@scope_required(Scope.CAMPAIGNS_WRITE)
def erase_recipient(path: RecipientPath) -> Response:
    """Permanently erase a recipient's values, prompts and images. The cost stays on record.

    An image shared with other recipients is kept for them. Nothing that is left identifies the person.
    """
    return responses.respond_json(erase_recipient_data(path))


def erase_recipient_data(path: RecipientPath) -> Erasure:
    """Erase a recipient of the caller's campaign; raise RefusedError with ``not_found``."""
    context = current_context()
    with lock_campaign(path) as (session, campaign):
        erased = erasure.erase_recipient(session, campaign, path.recipient_id)
        if erased is None:
            raise refuse_not_found()
        audit.record_event(
            session,
            current_caller(),
            Act.RECIPIENT_ERASED,
            AuditObject(ObjectKind.RECIPIENT, erased.tombstone),
            after={"campaign_id": str(campaign.id), "images": len(erased.images), "jobs": erased.jobs},
        )
    try:
        erasure.delete_objects(context.database, context.storage, erased)
    except StorageError as error:
        # The objects are hidden already; the clerk deletes them later.
        log.warning("objects_not_deleted", campaign_id=str(campaign.id), reason=error.code)
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
