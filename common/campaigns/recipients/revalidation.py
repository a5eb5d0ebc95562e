"""Checking rows again when the words of a campaign change before it is approved; the old rows stay until all hold."""

import heapq
from collections.abc import Iterator, Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from common.campaigns import queries
from common.campaigns.placeholders import spell_placeholder
from common.campaigns.recipients import importing, lists
from common.campaigns.recipients.formats.reading import Reading
from common.campaigns.recipients.formats.rows import ERROR_COLUMNS, Row
from common.campaigns.recipients.identity import IdRule
from common.campaigns.recipients.importing import ImportResult
from common.campaigns.recipients.lists import LoadingList
from common.campaigns.recipients.validation import PromptCheck
from common.campaigns.rendering import collect_variables
from common.campaigns.spec import CampaignSpec
from common.db.engine import Database
from common.models.prompt_counter import PromptCounter
from common.tables import Campaign, Recipient, RecipientList, RejectedRow

T = TypeVar("T", Recipient, RejectedRow)
CHUNK = 2000
_LASTING = ("ragged_row", "erased")
"""Errors of a rejected row that its cells do not show."""


def needs_revalidation(before: CampaignSpec, after: CampaignSpec) -> bool:
    """Return whether rows that held before may not hold now, belong to another arm, or are not read as far."""
    return _collect_checked(before) != _collect_checked(after)


def reopen_lists(session: Session, campaign: Campaign, spec: CampaignSpec) -> list[tuple[RecipientList, LoadingList]]:
    """Open a new list for each that *campaign*, which is locked, has; raise IllegalTransitionError."""
    old = queries.list_current_lists(session, campaign.id)
    first = lists.open_list(session, campaign, replaces=True, spec=spec)
    opened, offset = list[tuple[RecipientList, LoadingList]](), 0
    for place, each in enumerate(old):
        number = first.number + place
        if place:
            session.add(RecipientList(campaign_id=campaign.id, number=number))
        rule = IdRule(each.id_column, None)
        others = tuple(loading.number for _, loading in opened)
        opened.append((each, LoadingList(campaign.id, number, not place, spec, campaign.salt, others, offset, rule)))
        offset += each.accepted + each.rejected
    return opened


def revalidate_list(
    database: Database,
    old: RecipientList,
    loading: LoadingList,
    judge: PromptCheck,
    most: int,
    counter: PromptCounter | None = None,
) -> ImportResult:
    """Fill a list with the rows of *old*, those that were rejected too; raise as ``importing.import_rows``."""
    return importing.import_rows(database, loading, StoredSheet(database, old), judge, most, counter)


class StoredSheet:
    """The rows of a list that was taken in before."""

    is_open = False

    def __init__(self, database: Database, kept: RecipientList) -> None:
        self._database, self._kept = database, kept
        self.reading = Reading(**(kept.reading or {}))
        self._maybe_nested = _find_unchecked_columns(database, kept.campaign_id, self.reading.nested_columns)
        self._is_named = kept.id_column is not None
        self.columns = [*kept.columns, *(() if self._is_named else ERROR_COLUMNS[:1])]

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows in their order."""
        return heapq.merge(self._read_good(), self._read_bad())

    def _read_good(self) -> Iterator[Row]:
        where = (
            Recipient.campaign_id == self._kept.campaign_id,
            Recipient.list_number == self._kept.number,
            Recipient.erased_at.is_(None),  # nothing is left of the others to be checked, or printed
        )
        last = 0
        while rows := self._read(select(Recipient).where(*where, Recipient.row > last).order_by(Recipient.row)):
            for row in rows:
                yield self._build_row(
                    row.row, [row.fields.get(name, "") for name in self._kept.columns], row.recipient_id
                )
            last = rows[-1].row

    def _read_bad(self) -> Iterator[Row]:
        where = (RejectedRow.campaign_id == self._kept.campaign_id, RejectedRow.list_number == self._kept.number)
        last = 0
        while rows := self._read(select(RejectedRow).where(*where, RejectedRow.row > last).order_by(RejectedRow.row)):
            for row in rows:
                was_nested = tuple(error["column"] for error in row.errors if error["code"] == "type")
                lasting = ((error["code"], error["detail"]) for error in row.errors if error["code"] in _LASTING)
                yield self._build_row(row.row, row.fields, "", was_nested)._replace(fault=next(lasting, None))
            last = rows[-1].row

    def _read(self, query: Select[T]) -> Sequence[T]:
        with self._database.reading() as session:
            return session.scalars(query.limit(CHUNK)).all()

    def _build_row(self, number: int, cells: list[str], recipient_id: str, was_nested: tuple[str, ...] = ()) -> Row:
        """Return a row as it was in its file; where a list or an object may have been left out, it counts as one."""
        left_out = [
            name
            for name, cell in zip(self._kept.columns, cells, strict=False)
            if not cell and name in self._maybe_nested
        ]
        nested = tuple(dict.fromkeys((*was_nested, *left_out)))
        return Row(number, cells if self._is_named else [*cells, recipient_id], nested=nested)


def _find_unchecked_columns(database: Database, campaign_id: UUID, nested_columns: Sequence[str]) -> frozenset[str]:
    """Return those columns with lists or objects that the stored templates do not use, so that no row was refused."""
    if not nested_columns:
        return frozenset()
    with database.reading() as session:
        used = collect_variables(CampaignSpec.from_row(session.get_one(Campaign, campaign_id).spec))
    return frozenset(column for column in nested_columns if spell_placeholder(column) not in used)


def _collect_checked(spec: CampaignSpec) -> object:
    """Return all that the check of a row depends on."""
    arms = [(arm.name, arm.weight, arm.template, arm.prefix, arm.suffix, arm.request.model) for arm in spec.arms]
    return arms, spec.allow_identical
