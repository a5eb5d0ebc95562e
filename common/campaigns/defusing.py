"""Cells that a spreadsheet would run as formulas are given an apostrophe, by which it takes them for text."""

import re

_RISKY = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
_DEFUSED = re.compile(r"'[=+\-@\t\r]")


def defuse(cell: str) -> str:
    """Return *cell* as it may stand in a CSV file that people open; plain numbers stay."""
    return f"'{cell}" if cell.startswith(_RISKY) and not _NUMBER.fullmatch(cell) else cell


def restore(cell: str) -> str:
    """Return what ``defuse`` was given: for a file of ours that comes back."""
    return cell[1:] if _DEFUSED.match(cell) else cell
