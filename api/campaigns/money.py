"""Amounts of money in requests: strings, or numbers, which are taken as they are written."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

LARGEST_AMOUNT, DECIMALS = 999_999_999, 9
MONEY = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"
_MONEY = re.compile(MONEY[1:-1])


def _spell_amount(value: Any) -> Any:
    """Return an amount that was sent as a number as a text, without the error of binary fractions."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if not -LARGEST_AMOUNT <= value <= LARGEST_AMOUNT:
        raise _refuse_amount()
    return f"{round(Decimal(repr(value)), DECIMALS).normalize():f}"


def _check_amount(amount: str) -> str:
    if not _MONEY.fullmatch(amount):
        raise _refuse_amount()
    if not amount.strip("0."):
        raise PydanticCustomError("out_of_range", "must be greater than 0")
    return amount


def _refuse_amount() -> PydanticCustomError:
    return PydanticCustomError("type", 'must be an amount such as "20.00", of at most 999999999')


Money = Annotated[
    str,
    BeforeValidator(_spell_amount),
    AfterValidator(_check_amount),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": MONEY},
                {"type": "number", "minimum": 1e-9, "maximum": LARGEST_AMOUNT},
            ],
            "examples": ["20.00"],
        }
    ),
]
"""A positive amount of money, as a string, or as a number, of which nine decimals count."""
