"""The overrides of several API keys combine to the strictest of each."""

import pytest

from common.safety.policy import PolicyOverrides, Recourse, ReviewAction

NOTHING = PolicyOverrides()
HALF = PolicyOverrides(block_above=0.5, review_action=ReviewAction.BLUR, on_block=Recourse.REROLL)
OTHER = PolicyOverrides(review_above=0.1, block_above=0.6, review_action=ReviewAction.BLOCK)
BOTH = PolicyOverrides(review_above=0.1, block_above=0.5, review_action=ReviewAction.BLOCK, on_block=Recourse.REROLL)


@pytest.mark.parametrize(
    ("first", "second", "combined"),
    [(NOTHING, NOTHING, NOTHING), (NOTHING, HALF, HALF), (HALF, NOTHING, HALF), (HALF, OTHER, BOTH)],
)
def test_the_strictest_of_each_setting_counts(
    first: PolicyOverrides, second: PolicyOverrides, combined: PolicyOverrides
) -> None:
    assert first.tighten(second) == combined


def test_overrides_are_stored_without_what_they_leave_open() -> None:
    assert NOTHING.dump_row() is None
    assert HALF.dump_row() == {"block_above": 0.5, "review_action": "blur", "on_block": "reroll"}
    assert PolicyOverrides.from_row(HALF.dump_row()) == HALF
    assert PolicyOverrides.from_row(None) == NOTHING
