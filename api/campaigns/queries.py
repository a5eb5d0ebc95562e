"""Query campaigns of the caller; campaigns of other owners are reported as missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from api.auth.bearer import current_caller
from api.campaigns.schemas import CampaignPath
from api.runtime.context import current_context
from api.web.validation import refuse_not_found
from common.access import audit
from common.access.audit import AuditObject
from common.campaigns import lifecycle, queries, safety
from common.states.audit import Act, ObjectKind
from common.tables import Campaign


def load_campaign(session: Session, path: CampaignPath, *, to_change: bool = False) -> Campaign:
    """Return the caller's campaign, locked if it is *to_change*; raise RefusedError with ``not_found``."""
    row = queries.find_campaign(session, current_caller().owner, path.campaign_id, to_change=to_change)
    if row is None:
        raise refuse_not_found()
    return row


def fetch_campaign(path: CampaignPath) -> Campaign:
    """Return the caller's campaign, read in a session of its own; raise RefusedError with ``not_found``."""
    with current_context().database.reading() as session:
        return load_campaign(session, path)


@contextmanager
def lock_campaign(path: CampaignPath) -> Iterator[tuple[Session, Campaign]]:
    """Yield a transaction and the caller's campaign, locked; raise RefusedError with ``not_found``.

    Whatever the caller does to the campaign, its images are judged at least as strictly as the caller's key says.
    """
    with current_context().database.transaction() as session:
        campaign = load_campaign(session, path, to_change=True)
        safety.tighten_campaign(campaign, current_caller().safety)
        yield session, campaign


@contextmanager
def record_change(session: Session, campaign: Campaign, act: Act) -> Iterator[None]:
    """Record in the audit trail what the block changes in *campaign*, which is locked, as the caller's *act*."""
    before = lifecycle.describe_campaign(campaign)
    yield
    changed, after = AuditObject(ObjectKind.CAMPAIGN, campaign.id), lifecycle.describe_campaign(campaign)
    audit.record_event(session, current_caller(), act, changed, before=before, after=after)
