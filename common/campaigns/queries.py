"""Queries for campaigns, their lists and recipients."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from common.safety.text_normalization import normalize_text
from common.states.campaigns import CampaignStatus, ListStatus
from common.tables import Campaign, Recipient, RecipientList


def normalise_recipient_id(recipient_id: str) -> str:
    """Return the normalised form of an id, the same for spellings of one id.

    Only e-mail addresses are the same in capitals; of other ids, many systems have two that differ in nothing else.
    """
    text = normalize_text("NFC", recipient_id)
    name, _, host = text.rpartition("@")
    return normalize_text("NFC", text.casefold()) if name and host else text


def select_open_campaign_ids(owner: str) -> Select[UUID]:
    """Return the query for the ids of the campaigns of *owner* that have not ended."""
    is_open = Campaign.status.not_in([status for status in CampaignStatus if status.is_over])
    return select(Campaign.id).where(Campaign.owner == owner, Campaign.deleted_at.is_(None), is_open)


def find_campaign(session: Session, owner: str, campaign_id: UUID, *, to_change: bool = False) -> Campaign | None:
    """Return a campaign of *owner*, locked if it is *to_change*; None for another's, and for a deleted one."""
    query = select(Campaign).where(Campaign.id == campaign_id, Campaign.owner == owner, Campaign.deleted_at.is_(None))
    return session.scalar(query.with_for_update() if to_change else query)


def list_campaigns(
    session: Session, owner: str, *, status: CampaignStatus | None, after: UUID | None, limit: int
) -> Sequence[Campaign]:
    """Return campaigns of *owner*, the newest first, beginning after the one with the id *after*."""
    query = select(Campaign).where(Campaign.owner == owner, Campaign.deleted_at.is_(None))
    if status is not None:
        query = query.where(Campaign.status == status)
    if after is not None:
        query = query.where(Campaign.id < after)
    return session.scalars(query.order_by(Campaign.id.desc()).limit(limit)).all()


def list_current_lists(session: Session, campaign_id: UUID) -> Sequence[RecipientList]:
    """Return the lists whose rows belong to a campaign, in order."""
    return session.scalars(
        select(RecipientList)
        .where(RecipientList.campaign_id == campaign_id, RecipientList.status == ListStatus.CURRENT)
        .order_by(RecipientList.number)
    ).all()


def find_recipient(session: Session, campaign: Campaign, recipient_id: str) -> Recipient | None:
    """Return the recipient whom *recipient_id* means; an e-mail address may be written in any case."""
    return session.scalar(
        select(Recipient)
        .join(
            RecipientList,
            (RecipientList.campaign_id == Recipient.campaign_id) & (RecipientList.number == Recipient.list_number),
        )
        .where(
            Recipient.campaign_id == campaign.id,
            Recipient.key == normalise_recipient_id(recipient_id),
            RecipientList.status == ListStatus.CURRENT,
        )
    )
