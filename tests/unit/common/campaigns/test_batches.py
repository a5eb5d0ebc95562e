"""The rate of a batch that nobody profiled lies between those of its neighbours."""

import pytest

from common.campaigns.printing.quote import interpolate_rate

RATES = {1: 2.0, 2: 3.0, 4: 4.0}


@pytest.mark.parametrize(("batch", "rate"), [(1, 2.0), (1.5, 2.5), (2, 3.0), (3, 3.5), (4, 4.0), (8, 4.0), (0.5, 2.0)])
def test_a_rate_is_read_off_the_profile(batch: float, rate: float) -> None:
    assert interpolate_rate(RATES, batch) == pytest.approx(rate)


def test_a_profile_of_one_batch_has_one_rate() -> None:
    assert interpolate_rate({1: 2.0}, 5) == 2.0
