"""Validates the rows of a recipients file: id, values and rendered prompt."""

import json
import re
from collections.abc import Callable
from typing import NamedTuple

from common.campaigns.csv_injection import restore_cell
from common.campaigns.placeholders import find_column, spell_placeholder
from common.campaigns.queries import normalise_recipient_id
from common.campaigns.recipients.formats.rows import ERROR_COLUMNS, Row, Sheet
from common.campaigns.recipients.identity import IdRule
from common.campaigns.rendering import RenderingError, choose_arm, collect_variables, render_prompts
from common.campaigns.spec import CampaignSpec

LONGEST_ID = 255
LONGEST_VALUE = 10_000
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode  # made once: it takes as long as a row
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")

PromptCheck = Callable[[str], str | None]
"""Returns the category for which a prompt is refused, if it is."""


class RowFault(NamedTuple):
    """What is wrong with a row, and in which column if in one."""

    code: str
    column: str
    detail: str


class ValidRow(NamedTuple):
    """A row that can be printed."""

    number: int
    recipient_id: str
    key: str
    values: str  # as JSON
    arm: str
    cells: list[str]
    id_column: str  # empty if the id is the row's number
    prompt: str


class InvalidRow(NamedTuple):
    """A row that cannot."""

    number: int
    cells: list[str]
    fault: RowFault


class RowChecker:
    """Checks the rows of one sheet for one campaign; *offset* is how many rows came before them in other lists."""

    def __init__(
        self, spec: CampaignSpec, salt: bytes, sheet: Sheet, offset: int, id_rule: IdRule, judge: PromptCheck
    ) -> None:
        self._spec, self._salt, self._sheet = spec, salt, sheet
        self._offset, self._id_rule, self._judge = offset, id_rule, judge
        self._used = collect_variables(spec)
        self._id_column: str | None = None
        self._seen = 0

    def check(self, row: Row) -> ValidRow | InvalidRow:
        """Return the row, ready to be kept, or what is wrong with it."""
        columns, came_back = self._sheet.columns, ""
        if ERROR_COLUMNS[0] in columns:
            columns, row, came_back = _strip_error_columns(columns, row)
        try:
            return self._check(columns, row, came_back)
        except _RefusedError as error:
            return InvalidRow(row.number, row.cells, error.fault)
        except RenderingError as error:
            column = (error.column and find_column(error.column, columns)) or error.column
            return InvalidRow(row.number, row.cells, RowFault(error.code, column, error.message))

    def _check(self, columns: list[str], row: Row, came_back: str) -> ValidRow:
        if row.fault is not None:
            raise _RefusedError(row.fault[0], "", row.fault[1])
        self._find_id_column()
        self._check_nested(row)
        values = {name: cell for name, cell in zip(columns, map(str.strip, row.cells), strict=False) if cell}
        recipient_id, key = self._identify(row, values, came_back)
        spelled = _encode_values(values)
        arm = choose_arm(self._spec, self._salt, key)
        words = render_prompts(arm, values)
        if category := self._judge(words.prompt):
            raise _RefusedError("prompt_rejected", "", f"The prompt is rejected by the prompt rules: {category}.")
        return ValidRow(
            row.number, recipient_id, key, spelled, arm.name, row.cells, self._id_column or "", words.prompt
        )

    def _find_id_column(self) -> None:
        columns = self._sheet.columns
        if self._id_column is None and len(columns) > self._seen:
            self._id_column, self._seen = self._id_rule.choose_column(columns), len(columns)

    def _check_nested(self, row: Row) -> None:
        """Refuse a list or an object where a text is needed; elsewhere it is left out."""
        for column in row.nested:
            if column == self._id_column or spell_placeholder(column) in self._used:
                raise _RefusedError("type", column, f"{column} must be a string, a number or a boolean.")

    def _identify(self, row: Row, values: dict[str, str], came_back: str) -> tuple[str, str]:
        column = self._id_column
        given = values.get(column or "")
        if column is None:
            # A row that was corrected is the one that it was.
            number = came_back if _NUMBER.fullmatch(came_back) else str(self._offset + row.number)
            return number, number
        if given is None:
            raise _RefusedError("required", column, "The recipient has no id.")
        if len(given) > LONGEST_ID or len(key := normalise_recipient_id(given)) > LONGEST_ID:
            raise _RefusedError("too_long", column, f"The id must not exceed {LONGEST_ID} characters.")
        if not given.isprintable():
            raise _RefusedError("control_character", column, "The id contains a control character.")
        return given, key


class _RefusedError(Exception):
    def __init__(self, *fault: str) -> None:
        super().__init__()
        self.fault = RowFault(*fault)


def _strip_error_columns(columns: list[str], row: Row) -> tuple[list[str], Row, str]:
    """Return columns and row of a file of errors as they were before it, and which row it was."""
    cells = dict(zip(columns, row.cells, strict=False))
    came_back = cells.get(ERROR_COLUMNS[0], "").strip()
    kept = {name: restore_cell(cell) for name, cell in cells.items() if name not in ERROR_COLUMNS}
    return [*kept], row._replace(cells=[*kept.values()]), came_back


def _encode_values(values: dict[str, str]) -> str:
    """Return *values* as the JSON that is kept of them."""
    spelled = _ENCODE(values)
    if len(spelled) > LONGEST_VALUE:
        for name, value in values.items():
            if len(value) > LONGEST_VALUE:
                raise _RefusedError("too_long", name, f"A value must not exceed {LONGEST_VALUE} characters.")
    if "\\u0000" in spelled and any("\0" in text for pair in values.items() for text in pair):
        raise _RefusedError("control_character", "", "A value contains a NUL character.")
    try:
        spelled.encode()
    except UnicodeEncodeError:
        raise _RefusedError("invalid_unicode", "", "A value contains an unpaired surrogate.") from None
    return spelled
