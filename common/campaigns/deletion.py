"""Deletes deleted campaigns and dropped recipient lists, a few thousand rows at a time."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Select, and_, delete, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from common.campaigns.recipients import lists
from common.db.clock import now_sql
from common.db.engine import Database
from common.errors import IllegalTransitionError
from common.states.campaigns import CampaignStatus, ListStatus
from common.tables import Campaign, Print, Recipient, RecipientList, RejectedRow

CHUNK = 2000
LOADING_TIMEOUT = timedelta(minutes=30)
"""After this time an import is abandoned: the api that ran it is gone, because it takes no longer itself."""
ERRORS_KEPT = timedelta(days=1)
"""How long the errors of a rejected file are kept, unless another file is uploaded first."""

AT_REST = frozenset({CampaignStatus.DRAFT, CampaignStatus.READY, CampaignStatus.COMPLETED, CampaignStatus.CANCELED})
DELETABLE = AT_REST | {CampaignStatus.EXPIRED}


def hide_campaign(session: Session, campaign: Campaign) -> None:
    """Hide *campaign*, which is locked, from everybody; raise IllegalTransitionError if it must be canceled first."""
    if campaign.status not in DELETABLE:
        raise IllegalTransitionError(f"The campaign is {campaign.status}; cancel it first.")
    campaign.deleted_at = now_sql(session)
    campaign.has_links = False


def abandon_stale_lists(database: Database) -> int:
    """Drop the lists whose import died, and unblock their campaigns; return how many."""
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
    """Delete one chunk of the rows that nothing needs any more; return how many rows were deleted."""
    with database.reading() as session:
        found = session.execute(_select_dropped(session).limit(1)).first()
    if found is not None:
        return _delete_list_chunk(database, *found)
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


def _delete_list_chunk(database: Database, campaign_id: UUID, number: int) -> int:
    """Delete a chunk of a list's recipients, else of its rejected rows, else the list itself; return how many rows."""
    with database.transaction() as session:
        for table in (Recipient, RejectedRow):
            if deleted := _delete_chunk(session, table, campaign_id, number):
                return deleted
        session.execute(
            delete(RecipientList).where(RecipientList.campaign_id == campaign_id, RecipientList.number == number)
        )
        return 1


def _delete_chunk(session: Session, table: type[Recipient | RejectedRow], campaign_id: UUID, number: int) -> int:
    """Delete the first rows of a list from one table, with the prints of recipients; return how many rows."""
    of_list = and_(table.campaign_id == campaign_id, table.list_number == number)
    rows = session.scalars(select(table.row).where(of_list).order_by(table.row).limit(CHUNK)).all()
    if not rows:
        return 0
    chunk = and_(of_list, table.row <= rows[-1])
    if table is Recipient:
        # Prints go with their recipients, but copies of other recipients refer to them too.
        prints = select(Print.id).where(Print.recipient_pk.in_(select(Recipient.id).where(chunk)))
        session.execute(delete(Print).where(Print.original_id.in_(prints)))
    session.execute(delete(table).where(chunk).execution_options(synchronize_session=False))
    return len(rows)


def _delete_hidden_campaigns(database: Database) -> int:
    """Delete the campaigns that were deleted and have no rows left."""
    has_lists = exists().where(RecipientList.campaign_id == Campaign.id)
    with database.transaction() as session:
        gone = session.execute(
            delete(Campaign).where(Campaign.deleted_at.is_not(None), ~has_lists).returning(Campaign.id)
        ).all()
    return len(gone)
