"""What every group of settings is written with: the prefix of the variables, and lists in them."""

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

PREFIX = "PRESSROOM_"


def split_commas(value: object) -> object:
    """Return the parts of a text between its commas; anything else as it is."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_commas)]
