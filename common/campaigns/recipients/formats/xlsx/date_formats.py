"""Formats dates and times as the formats of a workbook say: ``dd.mm.yyyy``, ``d. mmm yy``, ``h:mm AM/PM``."""

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

from common.campaigns.recipients.formats.xlsx.number_formats import LONGEST_CODE, read_literal, split_sections

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LETTERS = frozenset("ymdhs")
_HALVES = {"am/pm": ("AM", "PM"), "a/p": ("A", "P")}
NOON = 12
_ENGLISH = frozenset({"09", "0409", "409", "809", "1009", "c09"})


def format_date(value: dt.datetime, code: str) -> str | None:
    """Return *value* in the format *code*, or None if the format is not understood, or leaves the words to Excel."""
    parts = _parse_format(code)
    if parts is None:
        return None
    has_halves = any(part in _HALVES for part in parts)
    return "".join(_format_part(part, value, has_halves=has_halves) for part in parts)


def format_duration(seconds: float, code: str) -> str:
    """Return a length of time in the format *code*: ``36:00`` for ``[h]:mm``, and else with seconds, ``36:00:00``."""
    sign, whole = "-" if seconds < 0 else "", round(abs(seconds))
    marks = code.lower()
    if "h" not in marks and "[m" in marks:
        return f"{sign}{whole // 60}:{whole % 60:02}"
    shown = f"{sign}{whole // 3600}:{whole // 60 % 60:02}"
    return shown if "h" in marks and "s" not in marks else f"{shown}:{whole % 60:02}"


@lru_cache(256)
def _parse_format(code: str) -> Sequence[str] | None:
    """Return the parts of a format: fields such as ``yyyy``, ``mi`` and ``mimi`` for minutes, and texts after a NUL."""
    if len(code) > LONGEST_CODE:
        return None
    parts, has_locale = list[str](), False
    for is_letter, run in groupby(split_sections(code)[0], lambda mark: mark.lower() in _LETTERS):
        if is_letter:
            parts += ["".join(same) for _, same in groupby(mark.lower() for mark in run)]
            continue
        for mark in run:
            literal = read_literal(mark)
            if mark.startswith("[$-"):
                has_locale = mark[3:-1].lower().lstrip("0") not in {each.lstrip("0") for each in _ENGLISH}
            elif mark.lower() in _HALVES:
                parts.append(mark.lower())
            elif literal is None and (mark[0] == "[" or mark in "0#?@%eE" or len(mark) > 1):
                return None
            else:
                parts.append("\0" + (mark if literal is None else literal))
    _find_minutes(parts)
    has_names = any(part.startswith(("mmm", "ddd")) for part in parts)
    has_fields = any(part[0] != "\0" for part in parts)
    return parts if has_fields and not (has_locale and has_names) else None


def _find_minutes(parts: list[str]) -> None:
    """Tell minutes from months: ``m`` or ``mm`` after hours or before seconds."""
    fields = [place for place, part in enumerate(parts) if part[0] in _LETTERS]
    for before, place, after in zip([None, *fields], fields, [*fields[1:], None], strict=False):
        if parts[place] in ("m", "mm"):
            follows_hours = before is not None and parts[before][0] == "h"
            if follows_hours or (after is not None and parts[after][0] == "s"):
                parts[place] = "mi" * len(parts[place])


def _format_part(part: str, value: dt.datetime, *, has_halves: bool) -> str:
    if part[0] == "\0":
        return part[1:]
    if part in _HALVES:
        return _HALVES[part][value.hour >= NOON]
    month, day = _MONTHS[value.month - 1], _DAYS[value.weekday()]
    hour = (value.hour % 12 or 12) if has_halves else value.hour
    names = {"mmm": month[:3], "mmmm": month, "mmmmm": month[0], "ddd": day[:3], "dddd": day}
    numbers = {"m": value.month, "d": value.day, "h": hour, "s": value.second}
    if part in names:
        return names[part]
    if part.startswith("mi"):
        return f"{value.minute:0{len(part) // 2}}"
    if part[0] == "y":
        return f"{value.year % 100:02}" if part in ("y", "yy") else f"{value.year:04}"
    return f"{numbers[part[0]]:0{min(2, len(part))}}"
