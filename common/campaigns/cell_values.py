"""Reads numbers and dates as spreadsheets show them; what can be read in two ways is refused.

Texts are bounded before they are looked at, so that reading one takes a bounded time.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal

from common.errors import PressroomError

LONGEST_NUMBER = 40
LONGEST_DATE = 60
LONGEST_SHOWN = 40

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_UNIT = re.compile(r"[A-Z]{3}(?=[\d\s+-])|(?<=[\d\s])[A-Z]{3}")  # such as EUR
_WHOLE = re.compile(r"\d+")
_GROUPED = re.compile(r"\d{1,3}(?:([ ',.])\d{3})(?:\1\d{3})*")
_APOSTROPHES = "\u2019\u02bc"
_MINUSES = "\u2212\u2012\u2013"

_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_DAY_FIRST = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4}|\d{2})(?!\d)")
_EITHER_FIRST = re.compile(r"(\d{1,2})([-/])(\d{1,2})\2(\d{4}|\d{2})(?!\d)")
_DAY_MONTH = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[.\s-]{0,2}([A-Za-z]{3,9})[.,\s-]{1,2}(\d{4}|\d{2})(?!\d)")
_MONTH_DAY = re.compile(r"([A-Za-z]{3,9})[.\s-]{1,2}(\d{1,2})(?:st|nd|rd|th)?[,\s-]{1,2}(\d{4}|\d{2})(?!\d)")
_WEEKDAY = re.compile(rf"(?:{'|'.join(f'{day}|{day[:3]}' for day in DAYS)})\b[.,]?\s?", re.IGNORECASE)
_TIME = re.compile(
    r"(?:T|,?\s)(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?(?:\s?([AaPp])\.?[Mm]\.?)?(?:Z|[+-]\d{2}:?\d{2})?"
)

FIRST_TWO_DIGIT_YEAR = 1930
"""What a year of two digits means at the earliest, as in Excel: 29 is 2029, 30 is 1930."""


class UnreadableCellError(PressroomError):
    """A text is not a number or a date, or may be two of them."""

    code = "invalid_value"


def read_number(text: str) -> Decimal:
    """Return the number in *text*, such as 1234.5, 1,234.50 €, 19,90 or 25%; raise UnreadableCellError.

    Signs of currencies, percent signs and separators of thousands are dropped.
    """
    shown, body = text.strip(), ""
    if len(shown) <= LONGEST_NUMBER:
        body = _strip_signs(shown)
    sign, body = (-1, body[1:].lstrip()) if body[:1] == "-" else (1, body.removeprefix("+").lstrip())
    readings = {*_read_digits(body)}
    if len(readings) > 1:
        either = " or ".join(str(number) for number in sorted(readings, reverse=True))
        raise UnreadableCellError(f"cannot read {shown!r} as a number: it may be {either}; write it as one of them")
    if not readings:
        raise UnreadableCellError(f"cannot read {shown[:LONGEST_SHOWN]!r} as a number, such as 1234.5 or 19,90")
    return sign * readings.pop()


def read_date(text: str) -> dt.datetime:
    """Return the date and time in *text*, such as 2026-05-01, 1.5.2026 18:30 or May 1, 2026; raise UnreadableCellError.

    The time zone is left out: a time is shown as it is written.
    """
    shown = text.strip()
    moments = {*_read_moments(shown)} if len(shown) <= LONGEST_DATE else set()
    if len(moments) > 1:
        either = " or ".join(f"{at.day} {MONTHS[at.month - 1]} {at.year}" for at in sorted(moments))
        raise UnreadableCellError(f"cannot read {shown!r} as a date: it may be {either}; write it as 2026-05-01")
    if not moments:
        raise UnreadableCellError(f"cannot read {shown[:LONGEST_SHOWN]!r} as a date; write it as 2026-05-01")
    return moments.pop()


def _strip_signs(text: str) -> str:
    """Return *text* in plain spaces, apostrophes and minus signs, without signs of currencies and percent."""
    plain = "".join(
        " " if sign.isspace() else "'" if sign in _APOSTROPHES else "-" if sign in _MINUSES else sign
        for sign in text
        if unicodedata.category(sign) != "Sc" and sign != "%"
    )
    plain = _UNIT.sub("", plain, count=1).strip()
    if plain.startswith("(") and plain.endswith(")"):  # as accountants write what is owed
        return f"-{plain[1:-1].strip()}"
    return plain


def _read_digits(body: str) -> Iterator[Decimal]:
    """Yield the numbers that *body*, without a sign, may be."""
    if not body.isascii():
        return
    if _WHOLE.fullmatch(body):
        yield Decimal(body)
    elif (found := _GROUPED.fullmatch(body)) and not _is_decimal(body, found[1]):
        yield Decimal(body.replace(found[1], ""))
    for mark in ".,":
        whole, _, fraction = body.rpartition(mark)
        if not _WHOLE.fullmatch(fraction):
            continue
        if _WHOLE.fullmatch(whole):
            yield Decimal(f"{whole}.{fraction}")
        elif (found := _GROUPED.fullmatch(whole)) and found[1] != mark:
            yield Decimal(f"{whole.replace(found[1], '')}.{fraction}")


def _is_decimal(body: str, mark: str) -> bool:
    """Return whether the one *mark* in *body* cannot separate thousands: a point is what programs write."""
    return body.count(mark) == 1 and (mark == "." or (mark == "," and body.startswith("0")))


def _read_moments(text: str) -> Iterator[dt.datetime]:
    """Yield the moments that *text* may be."""
    weekday = _WEEKDAY.match(text)
    begin = weekday.end() if weekday else 0
    for pattern, orders in _PATTERNS:
        found = pattern.match(text, begin)
        if found is None or (time := _read_time(text[found.end() :])) is None:
            continue
        for year, month, day in orders:
            with_year = _read_year(found[year])
            try:
                date = dt.date(with_year, _read_month(found[month]), int(found[day]))
                yield dt.datetime.combine(date, time)
            except ValueError:
                continue


_PATTERNS: tuple[tuple[re.Pattern[str], tuple[tuple[int, int, int], ...]], ...] = (
    (_YEAR_FIRST, ((1, 2, 3),)),
    (_DAY_FIRST, ((3, 2, 1),)),
    (_EITHER_FIRST, ((4, 3, 1), (4, 1, 3))),
    (_DAY_MONTH, ((3, 2, 1),)),
    (_MONTH_DAY, ((3, 1, 2),)),
)
"""How dates are written, and in which groups year, month and day may be."""


def _read_year(text: str) -> int:
    if len(text) > 2:  # noqa: PLR2004
        return int(text)
    return FIRST_TWO_DIGIT_YEAR + (int(text) - FIRST_TWO_DIGIT_YEAR) % 100


def _read_month(text: str) -> int:
    """Return the number of a month; raise ValueError."""
    if text.isdigit():
        return int(text)
    wanted = text.lower()
    for number, name in enumerate(MONTHS, 1):
        if wanted in (name.lower(), name[:3].lower()) or (wanted == "sept" and name == "September"):
            return number
    raise ValueError(text)


def _read_time(text: str) -> dt.time | None:
    """Return the time after a date, midnight if there is none; None for anything else."""
    if not text:
        return dt.time()
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hour, half = int(found[1]), (found[4] or "").lower()
    if half:
        if not 1 <= hour <= 12:  # noqa: PLR2004
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return dt.time(hour, int(found[2]), int(found[3] or 0))
    except ValueError:
        return None
