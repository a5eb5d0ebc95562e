"""Accelerator seconds into money."""

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from common.usage.price import compute_charge, price_gpu_seconds


@pytest.mark.parametrize(
    ("gpu_seconds", "per_hour", "amount"),
    [
        (3600.0, "0.60", "0.600000000"),
        (1.0, "0.60", "0.000166667"),
        (0.0, "0.60", "0.000000000"),
        (12.5, "0", "0.000000000"),
        (0.1, "3600", "0.100000000"),
    ],
)
def test_an_hour_costs_the_price_and_a_second_its_share(gpu_seconds: float, per_hour: str, amount: str) -> None:
    assert price_gpu_seconds(gpu_seconds, Decimal(per_hour)) == Decimal(amount)


@given(st.lists(st.floats(0, 10_000, allow_nan=False), min_size=1, max_size=50))
def test_the_parts_add_up_to_the_whole_but_for_rounding(parts: list[float]) -> None:
    per_hour = Decimal("1.25")
    whole = sum((Decimal(repr(part)) for part in parts), Decimal(0)) * per_hour / 3600
    assert abs(sum(price_gpu_seconds(part, per_hour) for part in parts) - whole) <= Decimal("1e-9") * len(parts)


@pytest.mark.parametrize("most", [None, Decimal("0.01"), Decimal(1)])
def test_a_cost_within_the_limit_is_charged_in_full(most: Decimal | None) -> None:
    charged = compute_charge(0.01, Decimal(3600), most)
    assert (charged.amount, charged.gpu_seconds, charged.overrun_seconds) == (Decimal("0.01"), 0.01, 0.0)


@given(st.floats(0.001, 10_000), st.integers(0, 10**9))
def test_a_cost_above_the_limit_is_charged_at_the_limit_and_its_seconds_add_up(seconds: float, nanos: int) -> None:
    most = Decimal(nanos) / 10**9
    charged = compute_charge(seconds, Decimal(3600), most)
    assert charged.amount <= most
    assert charged.gpu_seconds + charged.overrun_seconds == pytest.approx(seconds)
    assert charged.gpu_seconds == pytest.approx(float(charged.amount), abs=1e-9)
