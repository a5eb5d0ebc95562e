"""Base model and common types of JSON responses."""

from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer, WithJsonSchema


class Output(BaseModel):
    """An immutable object in a response."""

    model_config = ConfigDict(frozen=True)


def _format_amount(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


Amount = Annotated[
    Decimal,
    PlainSerializer(_format_amount, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?$", "examples": ["0.000041667"]}),
]
"""An amount of money: a string, because JSON readers round numbers."""

Time = AwareDatetime
"""A UTC time in RFC 3339 format, with a Z suffix."""
