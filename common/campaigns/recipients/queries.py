"""Recipients and rejected rows in the order in which they came, a page or a chunk at a time."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from common.campaigns import queries
from common.db.engine import Database
from common.states.campaigns import ListStatus
from common.tables import Campaign, Recipient, RecipientList, RejectedRow

CHUNK = 1000


def list_recipients(session: Session, campaign: Campaign, *, after: UUID | None, limit: int) -> Sequence[Recipient]:
    """Return recipients of *campaign*, beginning after the one with the id *after*."""
    numbers = [each.number for each in queries.list_current_lists(session, campaign.id)]
    order = (Recipient.list_number, Recipient.row)
    query = select(Recipient).where(Recipient.campaign_id == campaign.id, Recipient.list_number.in_(numbers))
    if after is not None:
        last = session.get(Recipient, after)
        place = (last.list_number, last.row) if last is not None else (0, 0)
        query = query.where(tuple_(*order) > place)
    return session.scalars(query.order_by(*order).limit(limit)).all()


def find_list(session: Session, campaign: Campaign, number: int | None) -> RecipientList | None:
    """Return the list with that *number*, or the newest of all that were read to their end or refused."""
    query = select(RecipientList).where(
        RecipientList.campaign_id == campaign.id, RecipientList.status != ListStatus.LOADING
    )
    if number is not None:
        query = query.where(RecipientList.number == number)
    return session.scalar(query.order_by(RecipientList.number.desc()).limit(1))


def iterate_rejected_rows(database: Database, of: RecipientList) -> Iterator[RejectedRow]:
    """Yield the rows of a list that cannot be printed."""
    last = 0
    while True:
        with database.reading() as session:
            rows = session.scalars(
                select(RejectedRow)
                .where(
                    RejectedRow.campaign_id == of.campaign_id,
                    RejectedRow.list_number == of.number,
                    RejectedRow.row > last,
                )
                .order_by(RejectedRow.row)
                .limit(CHUNK)
            ).all()
        if not rows:
            return
        yield from rows
        last = rows[-1].row
