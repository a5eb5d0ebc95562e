"""Lists of recipients in the database: opened, filled some thousand rows at a time, and then the campaign's at once.

A list is ``loading`` until all of it is there. Nobody looks at it before, so that one that breaks off leaves the
campaign as it was.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, Table, func, insert, select, text, update
from sqlalchemy.orm import Session

from common.campaigns import queries
from common.campaigns.printing import proofs
from common.campaigns.recipients.validation import InvalidRow, RowFault, ValidRow
from common.campaigns.spec import CampaignSpec
from common.campaigns.status import move_campaign
from common.errors import IllegalTransitionError
from common.ids import create_id
from common.tables import Campaign, RecipientList, RejectedRow
from common.tables.campaign_states import CampaignStatus, ListStatus

_S = CampaignStatus
UNAPPROVED = frozenset({_S.DRAFT, _S.READY})
"""Where a campaign's recipients may still be replaced."""
EXTENDABLE = frozenset({_S.APPROVED, _S.RUNNING, _S.PAUSED, _S.HELD, _S.COMPLETED})
"""Where rows may be appended that need an approval of their own."""

COLUMNS = ("id", "campaign_id", "list_number", "row", "recipient_id", "key", '"values"', "arm")
_INSERT = f"INSERT INTO recipients ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
_COPY = f"COPY recipients ({', '.join(COLUMNS)}) FROM STDIN"
_KNOWN = {
    "sqlite": 'SELECT key, list_number, "row" FROM recipients'
    " WHERE campaign_id = :campaign AND list_number IN (%s) AND key IN (SELECT value FROM json_each(:keys))",
    # A look at the index for each key: without statistics, which a table that is being filled lacks, PostgreSQL would
    # hold every row of the list against every key. OFFSET keeps it from turning this into a join.
    "postgresql": 'SELECT found.key, found.list_number, found."row" FROM unnest(CAST(:keys AS text[])) AS wanted (key),'
    ' LATERAL (SELECT key, list_number, "row" FROM recipients'
    " WHERE campaign_id = :campaign AND list_number IN (%s) AND key = wanted.key OFFSET 0) AS found",
}
_REJECT = insert(cast("Table", RejectedRow.__table__))


@dataclass(frozen=True)
class LoadingList:
    """A list that is being filled, and what its rows are held against."""

    campaign_id: UUID
    number: int
    replaces: bool
    spec: CampaignSpec
    salt: bytes
    others: tuple[int, ...]
    """The lists of which no recipient may come again."""
    offset: int
    """How many rows there are in these."""


def open_list(session: Session, campaign: Campaign, *, replaces: bool, spec: CampaignSpec | None = None) -> LoadingList:
    """Open a list for *campaign*, which is locked; raise IllegalTransitionError where it can take none.

    *spec* is what the rows are checked against, if not the campaign's own.
    """
    if is_loading(session, campaign):
        raise IllegalTransitionError("The campaign is already importing a list.")
    if campaign.status in UNAPPROVED:
        move_campaign(session, campaign, CampaignStatus.VALIDATING)
    elif campaign.status not in EXTENDABLE or replaces:
        what = "its recipients cannot be replaced" if campaign.status in EXTENDABLE else "it takes no recipients"
        raise IllegalTransitionError(f"The campaign is {campaign.status}: {what}.")
    others = () if replaces else queries.list_current_lists(session, campaign.id)
    highest = select(func.max(RecipientList.number)).where(RecipientList.campaign_id == campaign.id)
    number = (session.scalar(highest) or 0) + 1
    session.add(RecipientList(campaign_id=campaign.id, number=number))
    session.flush()
    return LoadingList(
        campaign.id,
        number,
        replaces,
        spec or CampaignSpec.from_row(campaign.spec),
        campaign.salt,
        tuple(each.number for each in others),
        sum(each.accepted + each.rejected for each in others),
    )


def is_loading(session: Session, campaign: Campaign) -> bool:
    """Return whether a list of *campaign*, which is locked, is being filled."""
    where = (RecipientList.campaign_id == campaign.id, RecipientList.status == ListStatus.LOADING)
    return session.scalars(select(RecipientList.number).where(*where)).first() is not None


def insert_rows(
    session: Session, loading: LoadingList, good: Sequence[ValidRow], bad: Sequence[InvalidRow]
) -> tuple[list[ValidRow], list[InvalidRow]]:
    """Add rows to a list; return those that were taken, and those that were not, repeated recipients among them.

    Raises IllegalTransitionError when the list was given up meanwhile.
    """
    taken, repeated = _split_known(loading, good, _find_known(session, loading, good))
    refused = sorted([*bad, *repeated])
    counts = {"accepted": RecipientList.accepted + len(taken), "rejected": RecipientList.rejected + len(refused)}
    _update_list(session, loading, **counts)
    if taken:
        _insert_valid(session, loading, taken)
    if refused:
        rows = [
            {"row": each.number, "values": _clean_cells(each.cells), "errors": [each.fault._asdict()]}
            for each in refused
        ]
        shared = {"campaign_id": loading.campaign_id, "list_number": loading.number}
        session.connection().execute(_REJECT, [row | shared for row in rows])
    return taken, refused


def finish_list(
    session: Session, campaign: Campaign, loading: LoadingList, columns: Sequence[str], digest: str
) -> None:
    """Have the list be the campaign's own, which is locked, in place of the others or beside them."""
    if loading.replaces:
        drop_current_lists(session, campaign)
    _update_list(session, loading, status=ListStatus.CURRENT, columns=[*columns], digest=digest)
    campaign.quote = None
    if campaign.status is CampaignStatus.VALIDATING:
        move_campaign(session, campaign, CampaignStatus.READY)


def abandon_list(session: Session, campaign: Campaign, number: int, columns: Sequence[str] = ()) -> None:
    """Have a list count for nothing; the campaign, which is locked, is as it was before it."""
    session.execute(
        update(RecipientList)
        .where(
            RecipientList.campaign_id == campaign.id,
            RecipientList.number == number,
            RecipientList.status == ListStatus.LOADING,
        )
        .values(status=ListStatus.DROPPED, columns=[*columns])
    )
    restore_status(session, campaign)


def restore_status(session: Session, campaign: Campaign) -> None:
    """Have a campaign that no list is being read for stand where its lists put it."""
    if campaign.status is CampaignStatus.VALIDATING:
        has_rows = bool(queries.list_current_lists(session, campaign.id))
        move_campaign(session, campaign, CampaignStatus.READY if has_rows else CampaignStatus.DRAFT)


def drop_current_lists(session: Session, campaign: Campaign) -> None:
    """Drop the lists of a campaign that was not approved, and its proofs, which are prints of their rows."""
    proofs.discard_proofs(session, campaign)
    session.execute(
        update(RecipientList)
        .where(RecipientList.campaign_id == campaign.id, RecipientList.status == ListStatus.CURRENT)
        .values(status=ListStatus.DROPPED)
    )


def _update_list(session: Session, loading: LoadingList, **values: Any) -> None:
    changed = session.execute(
        update(RecipientList)
        .where(
            RecipientList.campaign_id == loading.campaign_id,
            RecipientList.number == loading.number,
            RecipientList.status == ListStatus.LOADING,
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    if not cast("CursorResult[Any]", changed).rowcount:
        raise IllegalTransitionError("The import took too long and was aborted; upload the file again.")


def _find_known(session: Session, loading: LoadingList, good: Sequence[ValidRow]) -> dict[str, tuple[int, int]]:
    """Return which of these recipients are there already: by key, the list's number and the row's."""
    if not good:
        return {}
    dialect = session.get_bind().dialect.name
    keys: Any = [row.key for row in good]
    lists = ", ".join(map(str, (*loading.others, loading.number)))  # numbers of our own
    statement = text(_KNOWN[dialect] % lists).columns()
    given = {
        "campaign": _encode_id(loading.campaign_id, dialect),
        "keys": json.dumps(keys) if dialect == "sqlite" else keys,
    }
    return {key: (number, row) for key, number, row in session.connection().execute(statement, given)}


def _split_known(
    loading: LoadingList, good: Sequence[ValidRow], known: dict[str, tuple[int, int]]
) -> tuple[list[ValidRow], list[InvalidRow]]:
    taken, repeated = dict[str, ValidRow](), list[InvalidRow]()
    for row in good:
        if row.key in known:
            number, earlier = known[row.key]
            where = f"row {earlier} of {'this file' if number == loading.number else f'list {number}'}"
        elif row.key in taken:
            where = f"row {taken[row.key].number} of this file"
        else:
            taken[row.key] = row
            continue
        detail = f"The recipient {row.recipient_id[:64]!r} already exists: {where}."
        repeated.append(InvalidRow(row.number, row.cells, RowFault("duplicate_recipient", "recipient_id", detail)))
    return [*taken.values()], repeated


def _insert_valid(session: Session, loading: LoadingList, rows: Sequence[ValidRow]) -> None:
    dialect = session.get_bind().dialect.name
    campaign = _encode_id(loading.campaign_id, dialect)
    ids = (_encode_id(create_id(), dialect) for _ in itertools.count())
    values = (
        (next(ids), campaign, loading.number, row.number, row.recipient_id, row.key, row.values, row.arm)
        for row in rows
    )
    connection = session.connection()
    if dialect == "sqlite":
        connection.exec_driver_sql(_INSERT, [*values])
        return
    driver = cast("Any", connection.connection.driver_connection)
    with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        for each in values:
            copy.write_row(each)


def _encode_id(value: UUID, dialect: str) -> str:
    """Return an id as the driver wants it where SQLAlchemy does not stand between."""
    return value.hex if dialect == "sqlite" else str(value)


def _clean_cells(cells: Sequence[str]) -> list[str]:
    """Return the cells of a bad row without what no database takes."""
    return [cell.replace("\0", "").encode("utf-8", "replace").decode() for cell in cells]
