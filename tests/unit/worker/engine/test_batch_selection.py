from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given, settings, strategies as st

from common.states.jobs import Priority
from tests.support.engine.engine_fixture import FakeTicket
from worker.engine import batch_selection
from worker.engine.batch_selection import PATIENCE, SWAP_PATIENCE
from worker.metering.meter import Meter

INTERACTIVE, BULK = Priority.INTERACTIVE, Priority.BULK
HERE, AWAY = "here", "away"
"""Names of a model that is in memory and of one that is not."""

METER = Meter()


def rows(count=1, priority=INTERACTIVE, model=HERE, width=64, steps=10):
    ticket = FakeTicket(METER, priority=priority, model=model, width=width, num_images=count, steps=steps)
    for row in ticket.rows:
        row.drawing = SimpleNamespace(done=0, total=steps)
    return ticket.rows


def choose(in_hand, cap=4):
    return batch_selection.select_batch(in_hand, lambda row: cap, lambda model: model == HERE)


arrivals = st.lists(
    st.tuples(
        st.integers(0, 60),  # the pass before which it comes
        st.sampled_from([INTERACTIVE, BULK]),
        st.sampled_from([HERE, AWAY]),
        st.sampled_from([64, 128, 192]),  # its lane
        st.integers(1, 4),  # its rows
        st.integers(1, 40),  # their steps
    ),
    min_size=1,
    max_size=12,
)
caps = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2))


@settings(deadline=None, max_examples=60)
@given(arrivals=arrivals, caps=caps, comes=st.none() | st.integers(1, 80))
def test_no_row_ever_waits_longer_than_the_bound(arrivals, caps, comes):
    """The model that is away comes into memory at one moment, or never; then the longest of the bounds holds."""
    cap_of_width = dict(zip((64, 128, 192), caps, strict=True))
    waiting = sorted(arrivals, key=lambda arrival: arrival[0])
    in_hand, overdue_among, passes = [], {}, 0
    while waiting or in_hand:
        while waiting and (waiting[0][0] <= passes or not in_hand):
            _, priority, model, width, count, steps = waiting.pop(0)
            in_hand += rows(count, priority, model, width, steps)
        resident = {HERE, AWAY} if comes is not None and passes >= comes else {HERE}
        batch = batch_selection.select_batch(
            in_hand, lambda row: cap_of_width[row.ticket.request.width], resident.__contains__
        )
        assert batch
        assert len({row.lane for row in batch}) == 1
        assert len(set(batch)) == len(batch) <= max(1, cap_of_width[batch[0].ticket.request.width])
        for row in in_hand:
            is_resident = comes is None and row.ticket.request.model == HERE
            patience = (
                batch_selection.compute_patience(row, is_resident=is_resident) if comes is None else SWAP_PATIENCE
            )
            if row.waited == patience and row not in overdue_among:
                overdue_among[row] = len(in_hand)
            if row.waited == 0:
                overdue_among.pop(row, None)
            assert row.waited <= patience + overdue_among.get(row, 1) - 1
        for row in batch:
            row.drawing.done += 1
        in_hand = [row for row in in_hand if not row.is_denoised]
        passes += 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([INTERACTIVE, BULK]), st.sampled_from([64, 128])), min_size=1, max_size=12))
def test_interactive_rows_fill_the_batch_before_bulk_rows_in_order_of_arrival(classes):
    in_hand = [row for priority, width in classes for row in rows(1, priority, width=width)]
    for _ in range(PATIENCE[INTERACTIVE] - 1):  # nobody is overdue
        batch = choose(in_hand, cap=3)
        first = [row for row in in_hand if row.ticket.priority is INTERACTIVE]
        assert not first or batch[0] in first
        left_out = [row for row in in_hand if row.lane == batch[0].lane and row not in batch]
        places = {
            priority: [in_hand.index(r) for r in batch[1:] if r.ticket.priority is priority] for priority in Priority
        }
        for row in left_out:
            assert all(in_hand.index(row) > place for place in places[row.ticket.priority])
            assert row.ticket.priority is BULK or not places[BULK]


def test_no_rows_make_no_batch():
    assert choose([]) == []


def test_a_batch_is_of_one_lane_and_no_larger_than_its_cap():
    wide, narrow = rows(6, width=128), rows(2)
    assert choose([*wide, *narrow], cap=4) == wide[:4]


def test_a_cap_below_one_still_lets_one_row_step():
    (row,) = rows(1)
    assert choose([row], cap=0) == [row]


def test_two_lanes_of_a_class_take_turns():
    one, other = rows(2), rows(2, width=128)
    lanes = [choose([*one, *other])[0].lane for _ in range(6)]
    assert lanes == [one[0].lane, other[0].lane] * 3


def test_bulk_rows_step_along_where_an_interactive_row_leaves_room_in_their_lane():
    bulk, interactive = rows(5, BULK), rows(1)
    assert choose([*bulk, *interactive]) == [*interactive, *bulk[:3]]


def test_bulk_rows_of_another_lane_wait_for_interactive_ones_but_not_for_ever():
    bulk, interactive = rows(1, BULK), rows(1, width=128)
    leaders = Counter(choose([*bulk, *interactive])[0].ticket.priority for _ in range(2 * (PATIENCE[BULK] + 1)))
    assert leaders == {INTERACTIVE: 2 * PATIENCE[BULK], BULK: 2}


def test_a_model_that_must_be_loaded_waits_for_those_in_memory_but_not_for_ever():
    away, here = rows(1, model=AWAY), rows(1, BULK)
    leaders = [choose([*away, *here])[0] for _ in range(SWAP_PATIENCE + 1)]
    assert set(leaders[:-1]) == set(here)
    assert leaders[-1] is away[0]


def test_a_model_that_must_be_loaded_is_loaded_at_once_where_nothing_else_waits():
    away = rows(1, model=AWAY)
    assert choose(away) == away


def test_the_row_that_is_overdue_for_the_longest_leads():
    bulk, interactive = rows(1, BULK), rows(1, width=128)
    bulk[0].waited, interactive[0].waited = PATIENCE[BULK] + 2, PATIENCE[INTERACTIVE] + 1
    assert choose([*interactive, *bulk]) == bulk
    assert choose([*interactive, *bulk]) == interactive


@pytest.mark.parametrize("cap", [1, 2])
def test_an_overdue_row_leads_even_where_its_lane_is_full(cap):
    others, late = rows(4), rows(1, BULK)
    late[0].waited = PATIENCE[BULK]
    assert choose([*others, *late], cap=cap)[0] is late[0]
