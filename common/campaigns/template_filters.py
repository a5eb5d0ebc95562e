"""The filters of templates. Each takes time in proportion to its text, and what each adds to it is bounded."""

import datetime as dt
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from functools import wraps
from typing import Any, TypeVar

from liquid.builtin.filters import misc, string
from liquid.exceptions import FilterArgumentError, LiquidError
from liquid.undefined import Undefined

from common.campaigns.cell_values import DAYS, MONTHS, UnreadableCellError, read_date, read_number

T = TypeVar("T")

LONGEST_JOINED = 100_000
MOST_DECIMALS = 10
MOST_PARTS = 1000

_DIRECTIVE = re.compile(r"%(-?)(.?)", re.DOTALL)
_FIELDS: dict[str, Callable[[dt.datetime], str]] = {
    "Y": lambda at: f"{at.year:04}",
    "y": lambda at: f"{at.year % 100:02}",
    "m": lambda at: f"{at.month:02}",
    "d": lambda at: f"{at.day:02}",
    "e": lambda at: str(at.day),
    "B": lambda at: MONTHS[at.month - 1],
    "b": lambda at: MONTHS[at.month - 1][:3],
    "A": lambda at: DAYS[at.weekday()],
    "a": lambda at: DAYS[at.weekday()][:3],
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
    """Return a date such as 2026-05-01, 1.5.2026 18:30 or May 1, 2026 as a strftime pattern says."""
    pattern = _require_text(pattern)
    for found in _DIRECTIVE.finditer(pattern):
        if found[2] not in _FIELDS:
            names = ", ".join(f"%{name}" for name in _FIELDS)
            raise FilterArgumentError(f"date: unknown {found[0]!r}; allowed: {names}", token=None)
    moment = _read_value(read_date, value)

    def replace(found: re.Match[str]) -> str:
        shown = _FIELDS[found[2]](moment)
        return (shown.lstrip("0") or "0") if found[1] else shown

    return _DIRECTIVE.sub(replace, pattern)


def format_number(value: object, decimals: object = 0, style: object = "1234.56") -> str:
    """Return a number such as 1234.5, 1,234.50 € or 19,90, rounded to *decimals*, written like *style*."""
    separators = _STYLES.get(_require_text(style))
    if separators is None:
        names = ", ".join(f'"{name}"' for name in _STYLES)
        raise FilterArgumentError(f"number: unknown style; allowed: {names}", token=None)
    if not isinstance(decimals, int) or not 0 <= decimals <= MOST_DECIMALS:
        raise FilterArgumentError(f"number: decimals must be 0 to {MOST_DECIMALS}", token=None)
    number = _read_value(read_number, value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
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


def _read_value(read: Callable[[str], T], value: object) -> T:
    try:
        return read(_require_text(value))
    except UnreadableCellError as error:
        raise UnreadableValueError(error.message) from None


def _pass_missing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have a filter leave a missing value missing, for a ``default`` that follows; without one, it is refused."""

    @wraps(function)
    def apply(value: object, *arguments: Any) -> Any:
        return value if isinstance(value, Undefined) else function(value, *arguments)

    return apply


_OF_VALUES: dict[str, Callable[..., Any]] = {
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

FILTERS = {"default": misc.default} | {name: _pass_missing(function) for name, function in _OF_VALUES.items()}
"""By their names in templates; ``replace`` is left out, because it can multiply what it is given by itself."""
