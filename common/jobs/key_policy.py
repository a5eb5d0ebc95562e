"""Applies the safety policy of the API key to a job."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.jobs.request import ImageRequest
from common.safety.policy import Policy, PolicyOverrides
from common.tables import ApiKey

LAXEST = Policy(review_above=1, block_above=1)
"""Holds nobody back: the press tightens it to the operator's."""


def apply_key_policy(session: Session, key_id: UUID | None, request: ImageRequest) -> ImageRequest:
    """Return *request* with the policy of its key if it has none of its own, as the jobs of campaigns have none."""
    if key_id is None or request.safety is not None:
        return request
    found = session.scalar(select(ApiKey.safety).where(ApiKey.id == key_id))
    if not found:
        return request
    overrides = PolicyOverrides.model_validate(found).model_copy(
        update={"on_block": None}
    )  # a campaign has its own answer to that
    return request.model_copy(update={"safety": LAXEST.tighten(overrides)})
