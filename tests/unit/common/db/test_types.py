"""Column types: exact money, and enumerations that a newer version has extended."""

from decimal import Decimal

import pytest
import sqlalchemy
from hypothesis import given, strategies as st
from pydantic import TypeAdapter, ValidationError

from common.db.types import round_money, split_money, stored_enum
from common.states.jobs import JobStatus


@pytest.fixture
def unknown() -> JobStatus:
    """A status as it is read where a newer version has written one."""
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        status: JobStatus = connection.scalar(
            sqlalchemy.select(sqlalchemy.type_coerce(sqlalchemy.literal("paused"), stored_enum(JobStatus)))
        )
    engine.dispose()
    return status


def test_a_value_of_a_newer_version_is_read_as_an_unknown_member(unknown: JobStatus) -> None:
    assert isinstance(unknown, JobStatus)
    assert (unknown, unknown.value, unknown.is_terminal) == ("unknown", "unknown", False)
    assert unknown not in list(JobStatus)


def test_unknown_is_accepted_from_nobody(unknown: JobStatus) -> None:
    assert unknown.value not in stored_enum(JobStatus).enums
    with pytest.raises(ValueError, match="unknown"):
        JobStatus(unknown.value)
    with pytest.raises(ValidationError):
        TypeAdapter(JobStatus).validate_python(unknown.value)


def test_money_is_rounded_to_a_billionth() -> None:
    assert round_money(Decimal("0.12345678949")) == Decimal("0.123456789")


@given(st.integers(0, 10**19), st.integers(1, 100_000))
def test_the_parts_of_an_amount_never_exceed_it_and_leave_less_than_a_billionth_each(nanos: int, parts: int) -> None:
    amount = Decimal(nanos) / 10**9
    part = split_money(amount, parts)
    assert part * parts <= amount < (part + Decimal("1e-9")) * parts
