"""Imports lists of recipients: opens a list, inserts some thousand rows at a time, then adds it to its campaign.

A list is ``loading`` until it is complete. Until then nothing reads its rows, so an import that is interrupted leaves
the campaign as it was.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self, cast
from uuid import UUID

from sqlalchemy import CursorResult, Table, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from common.campaigns import queries
from common.campaigns.printing import proofs
from common.campaigns.recipients.formats.reading import Reading
from common.campaigns.recipients.identity import ID_COLUMN, IdRule
from common.campaigns.recipients.prompt_lengths import PromptLengths
from common.campaigns.recipients.validation import InvalidRow, RowFault, ValidRow
from common.campaigns.spec import CampaignSpec
from common.campaigns.status import move_campaign
from common.db import dialects
from common.db.ids import create_id
from common.errors import IllegalTransitionError
from common.states.campaigns import CampaignStatus, ListStatus
from common.tables import Campaign, Recipient, RecipientList, RejectedRow

_S = CampaignStatus
UNAPPROVED = frozenset({_S.DRAFT, _S.READY})
"""Statuses in which a campaign's recipients may still be replaced."""
EXTENDABLE = frozenset({_S.APPROVED, _S.RUNNING, _S.PAUSED, _S.HELD, _S.COMPLETED})
"""Statuses in which rows may be appended; these need an approval of their own."""

COLUMNS = ("id", "campaign_id", "list_number", "row", "recipient_id", "key", "values", "arm")
_RECIPIENTS = cast("Table", Recipient.__table__)
_REJECT = insert(cast("Table", RejectedRow.__table__))


@dataclass(frozen=True)
class ListContents:
    """What a list says of the file that it was read from."""

    columns: Sequence[str] = ()
    id_column: str | None = None
    reading: Reading = field(default_factory=Reading)
    lengths: PromptLengths | None = None
    """None if they are not known."""

    @classmethod
    def from_row(cls, row: RecipientList) -> Self:
        """Return what the row of a list says."""
        return cls(
            row.columns, row.id_column, Reading(**(row.reading or {})), PromptLengths.from_row(row.prompt_lengths)
        )

    def to_row(self) -> dict[str, Any]:
        """Return the same as columns of the table."""
        return {
            "columns": [*self.columns],
            "id_column": self.id_column,
            "reading": asdict(self.reading),
            "prompt_lengths": None if self.lengths is None else self.lengths.to_row(),
        }


@dataclass(frozen=True)
class LoadingList:
    """A list that is being imported, and what its rows are checked against."""

    campaign_id: UUID
    number: int
    replaces: bool
    spec: CampaignSpec
    salt: bytes
    others: tuple[int, ...]
    """The numbers of the lists whose recipients must not occur again."""
    offset: int
    """The total number of rows of these lists."""
    id_rule: IdRule


def open_list(
    session: Session,
    campaign: Campaign,
    *,
    replaces: bool,
    spec: CampaignSpec | None = None,
    id_column: str | None = None,
) -> LoadingList:
    """Open a list for *campaign*, which is locked; raise IllegalTransitionError if it cannot take one now.

    The rows are checked against *spec* if it is given, else against the campaign's own. Their ids are in *id_column*,
    or where they are in the lists before.
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
        IdRule(id_column, next((each.id_column for each in others if each.id_column), ID_COLUMN)),
    )


def is_loading(session: Session, campaign: Campaign) -> bool:
    """Return whether a list is being imported for *campaign*, which is locked."""
    where = (RecipientList.campaign_id == campaign.id, RecipientList.status == ListStatus.LOADING)
    return session.scalars(select(RecipientList.number).where(*where)).first() is not None


def insert_rows(
    session: Session, loading: LoadingList, good: Sequence[ValidRow], bad: Sequence[InvalidRow]
) -> tuple[list[ValidRow], list[InvalidRow]]:
    """Add rows to a list; return the accepted and the rejected ones; repeated recipients are rejected.

    Raises IllegalTransitionError if the import was abandoned in the meantime.
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
    session: Session, campaign: Campaign, loading: LoadingList, contents: ListContents, digest: str
) -> None:
    """Add the complete list to its campaign, which is locked; it replaces the other lists if it was opened so."""
    if loading.replaces:
        drop_current_lists(session, campaign)
    _update_list(session, loading, status=ListStatus.CURRENT, digest=digest, **contents.to_row())
    campaign.quote = None
    if campaign.status is CampaignStatus.VALIDATING:
        move_campaign(session, campaign, CampaignStatus.READY)


def abandon_list(session: Session, campaign: Campaign, number: int, contents: ListContents | None = None) -> None:
    """Drop a list that is being imported, and restore its campaign, which is locked, to its earlier status."""
    session.execute(
        update(RecipientList)
        .where(
            RecipientList.campaign_id == campaign.id,
            RecipientList.number == number,
            RecipientList.status == ListStatus.LOADING,
        )
        .values(status=ListStatus.DROPPED, **(contents or ListContents()).to_row())
    )
    restore_status(session, campaign)


def restore_status(session: Session, campaign: Campaign) -> None:
    """End the validation of a campaign for which no list is being imported: ready with recipients, else draft."""
    if campaign.status is CampaignStatus.VALIDATING:
        has_rows = bool(queries.list_current_lists(session, campaign.id))
        move_campaign(session, campaign, CampaignStatus.READY if has_rows else CampaignStatus.DRAFT)


def drop_current_lists(session: Session, campaign: Campaign) -> None:
    """Drop the lists of a campaign that is not approved yet, and its proofs, which are prints of their rows."""
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
    """Return which of these recipients exist already: list number and row number, by key."""
    if not good:
        return {}
    columns = _RECIPIENTS.c
    numbers = [*loading.others, loading.number]
    lists: Any = bindparam("lists", numbers, expanding=True, literal_execute=True)
    earlier = select(columns.key, columns.list_number, columns.row).where(
        columns.campaign_id == loading.campaign_id, columns.list_number.in_(lists)
    )
    found = dialects.filter_values(session, earlier, columns.key, [row.key for row in good])
    return {key: (number, row) for key, number, row in session.connection().execute(found)}


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
        repeated.append(InvalidRow(row.number, row.cells, RowFault("duplicate_recipient", row.id_column, detail)))
    return [*taken.values()], repeated


def _insert_valid(session: Session, loading: LoadingList, rows: Sequence[ValidRow]) -> None:
    values = (
        (create_id(), loading.campaign_id, loading.number, row.number, row.recipient_id, row.key, row.values, row.arm)
        for row in rows
    )
    dialects.bulk_insert(session, _RECIPIENTS, COLUMNS, values)


def _clean_cells(cells: Sequence[str]) -> list[str]:
    """Return the cells of a rejected row without characters that a database refuses."""
    return [cell.replace("\0", "").encode("utf-8", "replace").decode() for cell in cells]
