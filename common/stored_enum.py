"""Columns of enumerations, which read what only a newer version knows as ``unknown``."""

import enum
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from sqlalchemy import Dialect, Enum

from common.logs import get_logger

log = get_logger(__name__)


class StoredEnum(Enum):
    """Reads a value that only a newer version knows as ``unknown``: one such row must not hide all others."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return what makes members of texts."""
        made = super().result_processor(dialect, coltype)  # type: ignore[no-untyped-call]  # SQLAlchemy left it out
        known = cast("Callable[[Any], Any]", made)
        members = cast("type[enum.Enum]", self.enum_class)

        def read(value: Any) -> Any:
            try:
                return known(value)
            except LookupError:
                return _name_unknown(members, value)

        return read


@cache
def _name_unknown(members: type[enum.Enum], value: str) -> enum.Enum:
    """Return what stands for a value that is no member: neither stored, nor listed, nor equal to any."""
    log.error("unknown_value", kind=members.__name__, value=value)
    unknown: enum.Enum = str.__new__(members, "unknown")  # type: ignore[type-var]  # a StrEnum, like all that are stored
    unknown._name_, unknown._value_ = "UNKNOWN", "unknown"
    return unknown
