"""Deletes deleted campaigns and dropped recipient lists, a few thousand rows at a time."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Select, and_, delete, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from common.campaigns.recipients import lists
from common.db.clock import now_sql
from common.db.engine import Database
from common.errors import IllegalTransitionError
from common.tables import Campaign, Print, Recipient, RecipientList, RejectedRow
from common.tables.campaign_states import CampaignStatus, ListStatus

CHUNK = 2000
LOADING_TIMEOUT = timedelta(minutes=30)
"""After which a list that is being read is given up: the api that read it is gone, for it takes no longer itself."""
ERRORS_KEPT = timedelta(days=1)
"""How long the errors of a file that was refused can be looked at, unless another comes."""

AT_REST = frozenset({CampaignStatus.DRAFT, CampaignStatus.READY, CampaignStatus.COMPLETED, CampaignStatus.CANCELED})
DELETABLE = AT_REST | {CampaignStatus.EXPIRED}


def hide_campaign(session: Session, campaign: Campaign) -> None:
    """Have nobody see *campaign*, which is locked, any more; raise IllegalTransitionError while it is at work."""
    if campaign.status not in DELETABLE:
        raise IllegalTransitionError(f"The campaign is {campaign.status}; cancel it first.")
    campaign.deleted_at = now_sql(session)
    campaign.has_links = False


def abandon_stale_lists(database: Database) -> int:
    """Drop the lists whose reader is gone, and let their campaigns go on; return how many."""
    with database.reading() as session:
        stale = session.execute(
            select(RecipientList.campaign_id, RecipientList.number).where(
                RecipientList.status == ListStatus.LOADING,
                RecipientList.created_at < now_sql(session, -LOADING_TIMEOUT),
            )
        ).all()
    for campaign_id, number in stale:
        with database.transaction() as session:
            campaign = session.get(Campaign, campaign_id, with_for_update=True)
            if campaign is not None:
                lists.abandon_list(session, campaign, number)
    return len(stale)


def delete_dropped_rows(database: Database) -> int:
    """Delete a chunk of the rows that nobody looks at any more; return how many rows went."""
    with database.reading() as session:
        found = session.execute(_select_dropped(session).limit(1)).first()
    if found is not None:
        return _delete_list_rows(database, *found)
    return _delete_hidden_campaigns(database)


def _select_dropped(session: Session) -> Select[UUID, int]:
    other = aliased(RecipientList)
    newer = select(func.max(other.number)).where(other.campaign_id == RecipientList.campaign_id).scalar_subquery()
    is_over = or_(
        Campaign.deleted_at.is_not(None),
        and_(
            RecipientList.status == ListStatus.DROPPED,
            or_(RecipientList.number < newer, RecipientList.created_at < now_sql(session, -ERRORS_KEPT)),
        ),
    )
    return (
        select(RecipientList.campaign_id, RecipientList.number)
        .join(Campaign, Campaign.id == RecipientList.campaign_id)
        .where(is_over)
        .order_by(RecipientList.campaign_id, RecipientList.number)
    )


def _delete_list_rows(database: Database, campaign_id: UUID, number: int) -> int:
    """Delete a chunk of a list's rows, or the list if it has none left."""
    recipients = (
        select(Recipient.id)
        .where(Recipient.campaign_id == campaign_id, Recipient.list_number == number)
        .order_by(Recipient.row)
        .limit(CHUNK)
    )
    with database.transaction() as session:
        ids = session.scalars(recipients).all()
        if ids:
            prints = select(Print.id).where(Print.recipient_pk.in_(recipients))
            session.execute(delete(Print).where(Print.original_id.in_(prints)))
            session.execute(delete(Recipient).where(Recipient.id.in_(recipients)))
            return len(ids)
        rejected = (
            select(RejectedRow.row)
            .where(RejectedRow.campaign_id == campaign_id, RejectedRow.list_number == number)
            .order_by(RejectedRow.row)
            .limit(CHUNK)
        )
        numbers = session.scalars(rejected).all()
        if numbers:
            session.execute(
                delete(RejectedRow).where(
                    RejectedRow.campaign_id == campaign_id,
                    RejectedRow.list_number == number,
                    RejectedRow.row <= numbers[-1],
                )
            )
            return len(numbers)
        session.execute(
            delete(RecipientList).where(RecipientList.campaign_id == campaign_id, RecipientList.number == number)
        )
        return 1


def _delete_hidden_campaigns(database: Database) -> int:
    """Delete the campaigns that were deleted and have no rows left."""
    has_lists = exists().where(RecipientList.campaign_id == Campaign.id)
    with database.transaction() as session:
        gone = session.execute(
            delete(Campaign).where(Campaign.deleted_at.is_not(None), ~has_lists).returning(Campaign.id)
        ).all()
    return len(gone)
