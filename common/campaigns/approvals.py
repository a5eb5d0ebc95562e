"""Approving a campaign: by the digest of what somebody has looked at, and for the rows that were there then."""

from uuid import UUID

from sqlalchemy.orm import Session

from common.campaigns import digests, search
from common.campaigns.feeding import NOT_AS_APPROVED
from common.campaigns.lists import SUPPLIED
from common.campaigns.moves import move
from common.db.clock import read_clock
from common.errors import IllegalTransitionError, PressroomError
from common.settings import Settings
from common.tables import Campaign
from common.tables.campaign_states import CampaignStatus


class DigestMismatchError(PressroomError):
    """The campaign is no longer what was to be approved."""

    code = "digest_mismatch"


def approve(session: Session, campaign: Campaign, digest: str, key_id: UUID, settings: Settings) -> None:
    """Approve *campaign*, which is locked, with all rows that it has, as the key *key_id* said.

    Rows that were appended after an earlier approval are approved by one of their own. One that was held because it no
    longer is what was approved is approved anew, and may then be resumed. Raises DigestMismatchError, and
    IllegalTransitionError where there is nothing to approve.
    """
    is_anew = campaign.status is CampaignStatus.HELD and campaign.held_reason == NOT_AS_APPROVED
    lists = search.current_lists(session, campaign.id)
    waiting = [each for each in lists if each.approved_at is None or is_anew]
    is_first = campaign.status is CampaignStatus.READY
    if not (is_first or campaign.status in SUPPLIED) or not waiting:
        raise IllegalTransitionError(f"The campaign is {campaign.status}: there is nothing to approve.")
    campaign.digest = digests.compute(session, campaign, settings)
    if digest != campaign.digest:
        raise DigestMismatchError("The campaign has changed since; look at it again.")
    for each in waiting:
        each.approved_at, each.approved_by, each.approved_digest = read_clock(session), key_id, digest
    if is_first:
        session.flush()
        move(session, campaign, CampaignStatus.APPROVED)
