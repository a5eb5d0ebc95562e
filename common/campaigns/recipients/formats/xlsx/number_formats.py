"""Formats numbers as the number formats of a workbook say (ECMA-376 part 1, 18.8.31): ``00000``, ``#,##0.00``, ``0%``.

What is shown with fractions, exponents or conditions is not understood, and formatted as without a format.
"""

import re
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import NamedTuple

LONGEST_CODE = 255
"""Characters that Excel allows in a format."""
MOST_DECIMALS = 30
GENERAL = "General"
WIDTH = 10
"""Digits that Excel shows of a number with decimals that has no format."""
EXACT = Context(prec=15)
"""Digits of a number that Excel keeps; what a file has beyond them comes of binary fractions."""

MARK = re.compile(r'"[^"]*"?|\\.|\[[^\]]*\]?|_.|\*.|General|AM/PM|A/P|.', re.DOTALL | re.IGNORECASE)
"""Quoted text, an escaped character, something in brackets, a gap, a filler, or one character."""
_CURRENCY = re.compile(r"\[\$([^\-\]]*)(-[^\]]*)?\]")
_COLOUR = re.compile(r"\[(black|blue|cyan|green|magenta|red|white|yellow|color ?\d+)\]", re.IGNORECASE)
_DIGITS = frozenset("0#?")


class _UnknownFormatError(Exception):
    """The format is not understood."""


class _NumberFormat(NamedTuple):
    """One section of a format: what stands before, within and after the digits."""

    whole: tuple[str, ...]
    """Placeholders (``0``, ``#``, ``?``) and texts, each of the latter after a NUL."""
    decimals: tuple[str, ...]
    has_point: bool
    has_groups: bool
    scale: int
    """The power of ten by which the number is multiplied."""


def format_number(value: Decimal, code: str) -> str | None:
    """Return *value* in the format *code*, or None if the format is not understood."""
    sections = _parse_format(code)
    if sections is None:
        return None
    place = _choose_section(value, len(sections))
    section = sections[place]
    if section is None:
        return format_general(value)
    text = _apply_format(abs(EXACT.plus(value)), section)
    return f"-{text}" if value < 0 and place == 0 and any(sign in "123456789" for sign in text) else text


def format_general(value: Decimal) -> str:
    """Return *value* as without a format, whole numbers in full: ``1/3`` is ``0.333333333``."""
    value = EXACT.plus(value)
    decimals = max(0, WIDTH - max(1, value.adjusted() + 1))
    rounded = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP) if value % 1 else value
    shown = rounded or value  # rather too many digits than nothing
    return format(shown.normalize() if shown else Decimal(0), "f")


def read_literal(mark: str) -> str | None:
    """Return the text that a mark of a format stands for, or None if it is something else."""
    if mark[0] == '"':
        return mark[1:].removesuffix('"')
    if mark[0] == "\\" and len(mark) > 1:
        return mark[1]
    if mark[0] == "_" and len(mark) > 1:
        return " "
    if (mark[0] == "*" and len(mark) > 1) or _COLOUR.fullmatch(mark):
        return ""
    if found := _CURRENCY.fullmatch(mark):
        return found[1]
    return None


def split_sections(code: str) -> list[list[str]]:
    """Return the marks of each section of a format, which semicolons separate."""
    sections: list[list[str]] = [[]]
    for mark in MARK.findall(code):
        if mark == ";":
            sections.append([])
        else:
            sections[-1].append(mark)
    return sections


@lru_cache(256)
def _parse_format(code: str) -> list[_NumberFormat | None] | None:
    """Return the sections for numbers, None for one that is ``General``; None for what is not understood."""
    if len(code) > LONGEST_CODE:
        return None
    sections = split_sections(code)[:3]
    try:
        return [_parse_section(marks) for marks in sections]
    except _UnknownFormatError:
        return None


def _parse_section(marks: list[str]) -> _NumberFormat | None:
    if [mark for mark in marks if read_literal(mark) is None] == [GENERAL] and len(marks) == 1:
        return None
    whole, decimals, has_point, scale, commas = list[str](), list[str](), False, 0, 0
    has_groups = False
    for mark in marks:
        literal = read_literal(mark)
        if literal is None and mark in _DIGITS:
            has_groups, commas = has_groups or bool(commas), 0
            (decimals if has_point else whole).append(mark)
        elif literal is None and mark == "," and _DIGITS & {*whole, *decimals}:
            commas += 1
        elif literal is None and mark == "." and not has_point:
            scale, commas, has_point = scale - 3 * commas, 0, True
        elif literal is None and (mark[0] == "[" or mark in "eE@/.," or mark == GENERAL):
            raise _UnknownFormatError
        else:
            scale += 2 * (mark == "%")
            (decimals if has_point else whole).append("\0" + (mark if literal is None else literal))
    if len(decimals) > MOST_DECIMALS:
        raise _UnknownFormatError
    return _NumberFormat(tuple(whole), tuple(decimals), has_point, has_groups, scale - 3 * commas)


def _choose_section(value: Decimal, count: int) -> int:
    """Return which of *count* sections is meant for *value*: positive, negative, zero."""
    wanted = 1 if value < 0 else 2 if value == 0 else 0
    return wanted if wanted < count else 0


def _apply_format(value: Decimal, section: _NumberFormat) -> str:
    count = sum(mark in _DIGITS for mark in section.decimals)
    rounded = value.scaleb(section.scale).quantize(Decimal(1).scaleb(-count), ROUND_HALF_UP)
    digits, _, fraction = format(rounded, "f").partition(".")
    point = "." if section.has_point else ""
    return _place_whole(digits.lstrip("0"), section) + point + _place_decimals(fraction, section.decimals)


def _place_whole(digits: str, section: _NumberFormat) -> str:
    """Return the digits before the point in their places, filled in from the right; the first place takes all left."""
    shown, left, done = list[str](), digits, 0
    first = next((place for place, mark in enumerate(section.whole) if mark in _DIGITS), None)
    for place in range(len(section.whole) - 1, -1, -1):
        mark = section.whole[place]
        if mark not in _DIGITS:
            shown.append(mark[1:])
            continue
        while True:
            digit, left = (left[-1], left[:-1]) if left else ({"0": "0", "?": " "}.get(mark, ""), "")
            if digit and section.has_groups and done and done % 3 == 0:
                shown.append(" " if digit == " " else ",")
            shown.append(digit)
            done += bool(digit)
            if place != first or not left:
                break
    return "".join(reversed(shown))


def _place_decimals(fraction: str, decimals: tuple[str, ...]) -> str:
    significant, shown, done = len(fraction.rstrip("0")), list[str](), 0
    for mark in decimals:
        if mark not in _DIGITS:
            shown.append(mark[1:])
            continue
        is_shown = mark == "0" or done < significant
        shown.append(fraction[done] if is_shown else " " if mark == "?" else "")
        done += 1
    return "".join(shown)
