"""Column types: times in UTC, exact amounts of money, and enumerations; and the base class of all tables."""

import enum
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    MetaData,
    String,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase

from common.logs import get_logger

log = get_logger(__name__)

E = TypeVar("E", bound=enum.Enum)

NANOS = Decimal(10) ** 9
"""Amounts of money are exact to this part of their currency's unit."""


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite, which drops the zone, stores naive UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times and convert to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware UTC time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Money(TypeDecorator[Decimal]):
    """An amount of money, exact to 10⁻⁹ of its unit; stored as an integer so that sums are exact everywhere."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """Return the amount in 10⁻⁹ of the unit."""
        return None if value is None else int((value * NANOS).to_integral_value())

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        """Return the amount in the unit."""
        return None if value is None else Decimal(value) / NANOS


def round_money(amount: Decimal) -> Decimal:
    """Round an amount to what a ``Money`` column stores."""
    return amount.quantize(1 / NANOS)


def split_money(amount: Decimal, parts: int) -> Decimal:
    """Return an equal part of an amount, rounded down so that all *parts* together never exceed it."""
    return Decimal(int(amount * NANOS) // parts) / NANOS


class StoredEnum(Enum):
    """A column of an enumeration; reads a value that only a newer version has as ``unknown``.

    One such row must not hide all others.
    """

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return the function that converts stored texts to members."""
        made = super().result_processor(dialect, coltype)  # type: ignore[no-untyped-call]  # SQLAlchemy left it out
        known = cast("Callable[[Any], Any]", made)
        members = cast("type[enum.Enum]", self.enum_class)

        def read(value: Any) -> Any:
            try:
                return known(value)
            except LookupError:
                return _create_unknown_member(members, value)

        return read


@cache
def _create_unknown_member(members: type[enum.Enum], value: str) -> enum.Enum:
    """Return ``unknown``, a member that the enumeration does not list, for a stored *value* that it lacks.

    ``enum.Flag`` creates members that it does not list in the same way. If ``unknown`` were listed, requests, CHECK
    constraints and the OpenAPI document would accept it; if ``_missing_`` returned it, any text would be accepted.
    """
    log.error("unknown_value", kind=members.__name__, value=value)
    unknown: enum.Enum = str.__new__(members, "unknown")  # type: ignore[type-var]  # a StrEnum, like all that are stored
    unknown._name_, unknown._value_ = "UNKNOWN", "unknown"
    return unknown


def stored_enum(members: type[E]) -> Enum:
    """Return a column type that stores the values of *members* as text, held by a CHECK constraint."""
    return StoredEnum(
        members,
        native_enum=False,
        create_constraint=True,
        name=members.__name__.lower(),
        length=16,
        values_callable=lambda enumeration: [str(member.value) for member in enumeration],
    )


class Base(DeclarativeBase):
    """The tables; constraints are named so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (read by SQLAlchemy as it stands)
        datetime: UTCDateTime,
        Decimal: Money,
        str: String,
    }
