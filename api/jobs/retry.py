"""How an order is placed again: with the request, seed included, of a job that has ended."""

from datetime import timedelta

from api.auth.bearer import caller
from api.jobs import resolve
from api.runtime.context import services
from api.web.errors import RefusedError
from common.images import assets
from common.jobs.request import ImageRequest
from common.jobs.spec import Order
from common.models import catalog
from common.tables import Job
from common.tables.webhook_states import parse_events


def repeat(row: Job) -> Order:
    """Return the order for what *row* was; raise RefusedError if that cannot be had, or not yet."""
    context = services()
    with context.database.reading() as session:
        cards = catalog.cards(session)
        missing = assets.find_missing(session, row.owner, ImageRequest.from_row(row.request))
    if not row.status.is_terminal:
        raise RefusedError("invalid_state", f"The job is {row.status} and may yet succeed.")
    if row.prompt_erased_at is not None:
        raise RefusedError("prompt_erased", "The words of this job were erased; it cannot be made again.")
    if missing:
        raise RefusedError("unknown_asset", f"Its {' and '.join(missing)} has expired or was deleted.")
    resolve.pick(row.model, cards, context.settings)
    lifetime: timedelta | None = row.deadline_at - row.created_at if row.deadline_at else None
    return Order(
        owner=row.owner,
        key_id=caller().key_id,
        request=ImageRequest.from_row(row.request),
        priority=row.priority,
        deadline_seconds=lifetime.total_seconds() if lifetime else None,
        annotations=dict(row.annotations),
        retry_of=row.id,
        style_version=row.style_version,
        palette=row.palette,
        webhook_url=row.webhook_url,
        webhook_events=None if row.webhook_events is None else parse_events(row.webhook_events),
    )
