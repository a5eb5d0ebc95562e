"""Retry a finished job: build a new order with the same request, including its seed."""

from datetime import timedelta

from api.auth.bearer import current_caller
from api.jobs import resolve
from api.runtime.context import current_context
from api.web.errors import RefusedError
from common.images import assets
from common.jobs.request import ImageRequest
from common.jobs.spec import JobSpec
from common.models import catalog
from common.tables import Job
from common.tables.webhook_states import parse_events


def build_retry_spec(row: Job) -> JobSpec:
    """Return a new order with the request of *row*; raise RefusedError if the job cannot be retried."""
    context = current_context()
    with context.database.reading() as session:
        cards = catalog.load_cards(session)
        missing = assets.find_missing_assets(session, row.owner, ImageRequest.from_row(row.request))
    if not row.status.is_terminal:
        raise RefusedError("invalid_state", f"The job is {row.status}; only a finished job can be retried.")
    if row.prompt_erased_at is not None:
        raise RefusedError("prompt_erased", "The prompt of this job was erased, so it cannot be retried.")
    if missing:
        raise RefusedError("unknown_asset", f"The asset for {' and '.join(missing)} has expired or was deleted.")
    resolve.resolve_model(row.model, cards, context.settings)
    lifetime: timedelta | None = row.deadline_at - row.created_at if row.deadline_at else None
    return JobSpec(
        owner=row.owner,
        key_id=current_caller().key_id,
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
