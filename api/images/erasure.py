"""Erase an image of the caller."""

from uuid import UUID

from api.auth.bearer import current_caller
from api.images import queries
from api.runtime.context import current_context
from common.access import audit
from common.access.audit import AuditObject
from common.errors import StorageError
from common.images import erasure
from common.logs import get_logger
from common.states.audit import Act, ObjectKind
from common.states.jobs import ImageStatus

log = get_logger(__name__)


def erase_image(image_id: UUID) -> bool:
    """Erase an image of the caller, and return whether there was anything to erase.

    Raises RefusedError or IllegalTransitionError if it cannot be erased.
    """
    context = current_context()
    with context.database.transaction() as session:
        row = queries.load_image(session, current_caller().owner, image_id)
        before = row.status
        erasure.erase_image(session, row)
        if row.status is not before:
            changed, told = AuditObject(ObjectKind.IMAGE, row.id), {"status": before}
            audit.record_event(session, current_caller(), Act.IMAGE_ERASED, changed, before=told)
    if row.status is ImageStatus.ERASED:
        try:
            erasure.delete_objects(context.database, context.storage, [row])
        except StorageError as error:
            # No new links are issued; the clerk deletes the files later.
            log.warning("image_not_erased", image_id=str(row.id), reason=error.code)
    return row.status is not before
