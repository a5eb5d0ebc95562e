"""What all JSON that goes out has in common."""

from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer, WithJsonSchema


class Output(BaseModel):
    """An object of an answer; immutable."""

    model_config = ConfigDict(frozen=True)


def _spell(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


Amount = Annotated[
    Decimal,
    PlainSerializer(_spell, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?$", "examples": ["0.000041667"]}),
]
"""An amount of money: a string, because JSON readers round numbers."""

Time = AwareDatetime
"""A time in UTC as RFC 3339 spells it, with a Z."""
