"""Escapes CSV cells that a spreadsheet would evaluate as formulas (CSV injection)."""

import re

_FORMULA = "[=+\\-@\\t\\r\\n＝＋－＠]"
_RISKY = re.compile(rf"{_FORMULA}|.*[;\t\n]\s*[=+\-@]", re.DOTALL)
"""What begins a formula, also behind a character at which some spreadsheets part cells."""
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
_DEFUSED = re.compile(rf"'(?:{_RISKY.pattern})", re.DOTALL)


def defuse_cell(cell: str) -> str:
    """Return *cell* as it may stand in a CSV file that people open; plain numbers stay."""
    return f"'{cell}" if _RISKY.match(cell) and not _NUMBER.fullmatch(cell) else cell


def restore_cell(cell: str) -> str:
    """Return what ``defuse`` was given: for a file of ours that comes back."""
    return cell[1:] if _DEFUSED.match(cell) else cell
