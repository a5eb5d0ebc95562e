"""Escapes CSV cells that a spreadsheet would evaluate as formulas (CSV injection)."""

import re

_FORMULA = "[=+\\-@\\t\\r\\n＝＋－＠]"
_RISKY = re.compile(rf"{_FORMULA}|.*[;\t\n]\s*[=+\-@]", re.DOTALL)
"""What begins a formula, also behind a character at which some spreadsheets part cells."""
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
_DEFUSED = re.compile(rf"'(?:{_RISKY.pattern})", re.DOTALL)


def defuse_cell(cell: str) -> str:
    """Return *cell* escaped for CSV files that people open in a spreadsheet; plain numbers stay as they are."""
    return f"'{cell}" if _RISKY.match(cell) and not _NUMBER.fullmatch(cell) else cell


def restore_cell(cell: str) -> str:
    """Return what ``defuse`` was given: for a file of ours that comes back."""
    return cell[1:] if _DEFUSED.match(cell) else cell
