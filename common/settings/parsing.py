"""Helpers shared by all settings groups: the variable prefix and comma-separated lists."""

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

PREFIX = "PRESSROOM_"


def split_commas(value: object) -> object:
    """Split a string at its commas; return any other value unchanged."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_commas)]
