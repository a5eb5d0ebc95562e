"""Applies the safety policies of API keys to a job: of its own key, and of all that acted on its campaign."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.jobs.request import ImageRequest
from common.safety.policy import Policy, PolicyOverrides
from common.tables import ApiKey, Campaign, Job

LAXEST = Policy(review_above=1, block_above=1)
"""Holds nobody back: the press tightens it to the operator's."""


def load_request(session: Session, job: Job) -> ImageRequest:
    """Return the request of *job* under the strictest policy that applies to it now.

    That of its campaign may have become stricter since the job was queued.
    """
    request = ImageRequest.from_row(job.request)
    if job.key_id is not None:
        request = tighten_request(request, session.scalar(select(ApiKey.safety).where(ApiKey.id == job.key_id)))
    if job.campaign_id is not None:
        request = tighten_request(
            request, session.scalar(select(Campaign.safety).where(Campaign.id == job.campaign_id))
        )
    return request


def tighten_request(request: ImageRequest, stored: dict[str, object] | None) -> ImageRequest:
    """Return *request* with a policy at least as strict as the *stored* overrides; what is done on a block stays."""
    if not stored:
        return request
    overrides = PolicyOverrides.from_row(stored).model_copy(update={"on_block": None})
    return request.model_copy(update={"safety": (request.safety or LAXEST).tighten(overrides)})
