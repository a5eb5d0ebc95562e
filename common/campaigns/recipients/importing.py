"""Imports a recipients file into a list, row by row, in constant memory."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import islice

from common.campaigns.placeholders import spell_placeholder
from common.campaigns.recipients import lists
from common.campaigns.recipients.formats.rows import ERROR_COLUMNS, Row, Sheet
from common.campaigns.recipients.lists import ListContents, LoadingList
from common.campaigns.recipients.prompt_lengths import LengthCheck
from common.campaigns.recipients.validation import InvalidRow, PromptCheck, RowChecker, ValidRow
from common.campaigns.rendering import collect_variables
from common.db.engine import Database
from common.errors import PressroomError
from common.models.prompt_counter import PromptCounter

CHUNK = 2000
"""Rows a transaction: some ten milliseconds, for which SQLite's other writers wait."""

MOST_SHOWN = 50


class UnknownVariableError(PressroomError):
    """The template names an unknown column."""

    code = "unknown_variable"


class NoRecipientsError(PressroomError):
    """The file contains no rows."""

    code = "no_recipients"


class TooManyRecipientsError(PressroomError):
    """The campaign would exceed the maximum number of recipients."""

    code = "too_many_recipients"


class IdenticalPromptsError(PressroomError):
    """The template has no variables, so every prompt would be the same; set allow_identical to allow this."""

    code = "identical_prompts"


@dataclass
class ImportResult:
    """What became of a file."""

    contents: ListContents = field(default_factory=ListContents)
    accepted: int = 0
    rejected: int = 0
    shown: list[InvalidRow] = field(default_factory=list)
    """The first rows that cannot be printed."""
    digest: str = ""


def import_rows(
    database: Database,
    loading: LoadingList,
    sheet: Sheet,
    judge: PromptCheck,
    most: int,
    counter: PromptCounter | None = None,
) -> ImportResult:
    """Read *sheet* into the list that is *loading*; a campaign may have *most* recipients.

    With a *counter*, the result says how much of the prompts the models read. Raises InvalidFileError and the errors of
    this module where the file as a whole is at fault.
    """
    done, hashed = ImportResult(), hashlib.sha256()
    if not sheet.is_open:
        _check_columns(loading, sheet)
    checker = RowChecker(loading.spec, loading.salt, sheet, loading.offset, loading.id_rule, judge)
    lengths = LengthCheck(loading.spec, counter)
    for rows in _chunk_rows(sheet):
        checked = [checker.check(row) for row in rows]
        if loading.offset + done.accepted + done.rejected + len(checked) > most:
            raise TooManyRecipientsError(f"A campaign must not exceed {most} recipients.")
        good = [row for row in checked if isinstance(row, ValidRow)]
        bad = [row for row in checked if isinstance(row, InvalidRow)]
        with database.transaction() as session:
            taken, refused = lists.insert_rows(session, loading, good, bad)
        lengths.add(taken)
        hashed.update("".join([f"{row.recipient_id}\0{row.values}\n" for row in taken]).encode())
        done.accepted += len(taken)
        done.rejected += len(refused)
        done.shown.extend(refused[: MOST_SHOWN - len(done.shown)])
    done.contents = replace(describe_sheet(loading, sheet), lengths=lengths.summarise())
    done.digest = hashed.hexdigest()
    _check_columns(loading, sheet)
    if not done.accepted and not done.rejected:
        raise NoRecipientsError
    if loading.offset + done.accepted > 1 and not loading.spec.allow_identical and not collect_variables(loading.spec):
        raise IdenticalPromptsError
    return done


def describe_sheet(loading: LoadingList, sheet: Sheet) -> ListContents:
    """Return what a list says of its file: without the columns of errors, which have been heeded."""
    columns = [name for name in sheet.columns if name not in ERROR_COLUMNS]
    return ListContents(columns, loading.id_rule.choose_column(columns), sheet.reading)


def _check_columns(loading: LoadingList, sheet: Sheet) -> None:
    """Raise UnknownVariableError or UnknownIdColumnError if the file lacks a column that is asked for."""
    loading.id_rule.check_columns(sheet.columns)
    known = [spell_placeholder(column) for column in sheet.columns]
    for name in sorted(collect_variables(loading.spec) - {*known}):
        close = get_close_matches(name, known, n=1)
        hint = f" Did you mean {{{{ {close[0]} }}}}?" if close else ""
        has = ", ".join(known)[:200]
        detail = f"Unknown variable {name[:64]!r}: the file has no such column.{hint} Templates can use: {has}."
        raise UnknownVariableError(detail)


def _chunk_rows(sheet: Sheet) -> Iterator[list[Row]]:
    rows = iter(sheet)
    while chunk := list(islice(rows, CHUNK)):
        yield chunk
