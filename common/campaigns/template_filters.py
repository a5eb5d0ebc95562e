"""The filters of templates. Each takes time in proportion to its text, and what each adds to it is bounded."""

import datetime as dt
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from functools import wraps
from typing import Any

from liquid.builtin.filters import misc, string
from liquid.exceptions import FilterArgumentError, LiquidError
from liquid.undefined import Undefined

LONGEST_JOINED = 100_000
LONGEST_NUMBER = 40
MOST_DECIMALS = 10
MOST_PARTS = 1000

_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_DATE_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_TIME = re.compile(r"[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?")
_DIRECTIVE = re.compile(r"%(-?)(.?)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FIELDS: dict[str, Callable[[dt.datetime], str]] = {
    "Y": lambda at: f"{at.year:04}",
    "y": lambda at: f"{at.year % 100:02}",
    "m": lambda at: f"{at.month:02}",
    "d": lambda at: f"{at.day:02}",
    "e": lambda at: str(at.day),
    "B": lambda at: _MONTHS[at.month - 1],
    "b": lambda at: _MONTHS[at.month - 1][:3],
    "A": lambda at: _DAYS[at.weekday()],
    "a": lambda at: _DAYS[at.weekday()][:3],
    "H": lambda at: f"{at.hour:02}",
    "I": lambda at: f"{at.hour % 12 or 12:02}",
    "M": lambda at: f"{at.minute:02}",
    "S": lambda at: f"{at.second:02}",
    "p": lambda at: "AM" if at.hour < NOON else "PM",
    "%": lambda _: "%",
}
"""What ``date`` can show, always in English; the letters are those of strftime."""

NOON = 12

_STYLES = {
    "1234.56": ("", "."),
    "1234,56": ("", ","),
    "1,234.56": (",", "."),
    "1.234,56": (".", ","),
    "1 234.56": (" ", "."),
    "1 234,56": (" ", ","),
    "1'234.56": ("'", "."),
}
"""How ``number`` writes numbers, by example: the separator of thousands and the decimal mark."""


class UnreadableValueError(LiquidError):
    """A filter cannot read a recipient's value."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, token=None)
        self.detail = detail


def format_date(value: object, pattern: object) -> str:
    """Return a date such as 2026-05-01, 1.5.2026 or 2026-05-01 18:30 as a strftime pattern says."""
    text = _require_text(value)
    moment = _read_date(text.strip())

    def replace(found: re.Match[str]) -> str:
        field = _FIELDS.get(found[2])
        if field is None:
            names = ", ".join(f"%{name}" for name in _FIELDS)
            raise FilterArgumentError(f"date: unknown {found[0]!r}; allowed: {names}", token=None)
        shown = field(moment)
        return (shown.lstrip("0") or "0") if found[1] else shown

    return _DIRECTIVE.sub(replace, _require_text(pattern))


def format_number(value: object, decimals: object = 0, style: object = "1234.56") -> str:
    """Return a number such as 1234.5 or 1,234.5, rounded to *decimals*, written like *style*."""
    separators = _STYLES.get(_require_text(style))
    if separators is None:
        names = ", ".join(f'"{name}"' for name in _STYLES)
        raise FilterArgumentError(f"number: unknown style; allowed: {names}", token=None)
    if not isinstance(decimals, int) or not 0 <= decimals <= MOST_DECIMALS:
        raise FilterArgumentError(f"number: decimals must be 0 to {MOST_DECIMALS}", token=None)
    text = _require_text(value).strip()
    is_number = len(text) <= LONGEST_NUMBER and (_NUMBER.fullmatch(text) or _GROUPED.fullmatch(text))
    if not is_number:
        raise UnreadableValueError(f"cannot read {text[:40]!r} as a number; write it as 1234.5")
    number = Decimal(text.replace(",", "")).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    marks = {",": separators[0], ".": separators[1]}
    return "".join(marks.get(sign, sign) for sign in f"{number + 0:,f}")


def split_text(value: object, separator: object) -> list[str]:
    """Return the parts of a text; without a separator, its words."""
    text, between = _require_text(value), _require_text(separator)
    return text.split(between if between.strip() else None, MOST_PARTS)


def take_first(value: object) -> str:
    """Return the first part of a text that was split."""
    parts = _require_parts(value)
    return parts[0] if parts else ""


def take_last(value: object) -> str:
    """Return the last part of a text that was split."""
    parts = _require_parts(value)
    return parts[-1] if parts else ""


def join_parts(value: object, separator: object = " ") -> str:
    """Return the parts of a text that was split, with *separator* between them."""
    parts, between = _require_parts(value), _require_text(separator)
    if sum(map(len, parts)) + len(between) * len(parts) > LONGEST_JOINED:
        raise UnreadableValueError("produces a text that is too long")
    return between.join(parts)


def _require_text(value: object) -> str:
    if isinstance(value, Undefined):
        return str(value)  # which is refused where a value is missing
    if not isinstance(value, str):
        raise FilterArgumentError("takes a text; use first, last or join after split", token=None)
    return value


def _require_parts(value: object) -> list[str]:
    if not isinstance(value, list):
        _require_text(value)
        raise FilterArgumentError("takes the parts of a text; use split before it", token=None)
    return value


def _take_text(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have one of Liquid's own filters refuse parts, of which it would print a list."""

    @wraps(function)
    def take(value: object, *arguments: Any) -> Any:
        return function(_require_text(value), *arguments)

    return take


def _read_date(text: str) -> dt.datetime:
    for pattern, order in ((_DATE, (1, 2, 3)), (_DATE_DAY_FIRST, (3, 2, 1))):
        if (found := pattern.match(text)) is None:
            continue
        rest = text[found.end() :]
        time = _TIME.fullmatch(rest)
        if rest and time is None:
            break
        year, month, day = (int(found[group]) for group in order)
        hour, minute, second = (int(part or 0) for part in time.groups()) if time else (0, 0, 0)
        try:
            return dt.datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  (it is shown as it is written)
        except ValueError:
            break
    raise UnreadableValueError(f"cannot read {text[:40]!r} as a date; write it as 2026-05-01")


FILTERS: dict[str, Callable[..., Any]] = {
    "default": misc.default,
    "append": _take_text(string.append),
    "prepend": _take_text(string.prepend),
    "capitalize": _take_text(string.capitalize),
    "downcase": _take_text(string.downcase),
    "upcase": _take_text(string.upcase),
    "remove": _take_text(string.remove),
    "strip": _take_text(string.strip),
    "lstrip": _take_text(string.lstrip),
    "rstrip": _take_text(string.rstrip),
    "truncate": _take_text(string.truncate),
    "truncatewords": _take_text(string.truncatewords),
    "date": format_date,
    "number": format_number,
    "split": split_text,
    "first": take_first,
    "last": take_last,
    "join": join_parts,
}
"""By their names in templates; ``replace`` is left out, because it can multiply what it is given by itself."""
