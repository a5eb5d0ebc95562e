"""Formats the cells of a workbook as Excel shows them.

A format whose outcome depends on the language of Excel, such as its short date, and one that is not understood are not
followed: the date is then written as in ISO 8601, the number in full.
"""

import datetime as dt
from decimal import Decimal
from typing import Any

from common.campaigns.recipients.formats.xlsx.date_formats import format_date, format_duration
from common.campaigns.recipients.formats.xlsx.number_formats import GENERAL, format_general, format_number

BUILT_IN: dict[int, str] = {
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    15: "d-mmm-yy",
    16: "d-mmm",
    17: "mmm-yy",
    18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM",
    20: "h:mm",
    21: "h:mm:ss",
    37: "#,##0;(#,##0)",
    38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)",
    45: "mm:ss",
}
"""The formats that a workbook names by a number alone (ECMA-376 part 1, 18.8.30)."""

_DAY_ZERO = dt.date(1899, 12, 31)


def format_cell(cell: Any) -> str:
    """Return the text of a cell as ``read_subprocess`` wrote it: a text, or a kind, a value and a format."""
    if isinstance(cell, str):
        return cell
    kind, value, told = cell
    code = told if isinstance(told, str) else BUILT_IN.get(told, GENERAL)
    if kind == "number":
        number = Decimal(value)
        shown = format_number(number, code) if number.is_finite() else value
        return (format_general(number) if shown is None else shown).strip()
    if kind == "duration":
        return format_duration(float(value), code)
    moment = _read_moment(kind, value)
    shown = None if moment is None or code == GENERAL else format_date(moment, code)
    return value if shown is None else shown.strip()


def _read_moment(kind: str, value: str) -> dt.datetime | None:
    try:
        if kind == "time":
            return dt.datetime.combine(_DAY_ZERO, dt.time.fromisoformat(value))
        return dt.datetime.fromisoformat(value)
    except ValueError:
        return None
