"""Escapes CSV cells that a spreadsheet would evaluate as formulas (CSV injection, OWASP).

Both functions take time linear in the length of the cell, which is as long as its user likes.
"""

import re
from collections.abc import Iterator

_SIGN = re.compile(r"[=+\-@＝＋－＠]")
_STARTS = ("\t", "\r", "\n")
"""Characters that some spreadsheets skip at the start of a cell."""
_SEPARATORS = frozenset(";\t\r\n")
"""Characters at which some spreadsheets divide a cell, whatever separator the file has."""
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")


def defuse_cell(cell: str) -> str:
    """Return *cell* with an apostrophe before each formula that a spreadsheet could find; plain numbers stay."""
    if _NUMBER.fullmatch(cell):
        return cell
    prefix = "'" if cell.startswith(_STARTS) else ""
    return prefix + "".join(f"{before}'{sign}" if opens else before + sign for before, sign, opens in _split(cell))


def restore_cell(cell: str) -> str:
    """Return what ``defuse_cell`` was given: for a file of ours that comes back."""
    if cell.startswith("'") and cell[1:].startswith(_STARTS):
        cell = cell[1:]
    parts: list[str] = []
    for before, sign, _ in _split(cell):
        escaped = before[:-1] if before.endswith("'") else None
        is_ours = escaped is not None and _opens_cell(escaped, is_first=not parts)
        parts.append((escaped if is_ours and escaped is not None else before) + sign)
    return "".join(parts)


def _split(cell: str) -> Iterator[tuple[str, str, bool]]:
    """Yield each sign with the text before it, and whether a spreadsheet would take it for the start of a formula.

    The last text comes with an empty sign.
    """
    end = 0
    for found in _SIGN.finditer(cell):
        before = cell[end : found.start()]
        yield before, found[0], _opens_cell(before, is_first=end == 0)
        end = found.end()
    yield cell[end:], "", False


def _opens_cell(before: str, *, is_first: bool) -> bool:
    """Return whether a sign that follows *before* stands at the start of a cell, or of a part of it."""
    text = before.rstrip()
    gap = before[len(text) :]
    if is_first and not before:
        return True
    return text.endswith(";") or not _SEPARATORS.isdisjoint(gap)
