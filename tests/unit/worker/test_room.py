import threading

import pytest

from tests.engines import Background
from worker.room import Room


@pytest.fixture
def leaving():
    return threading.Event()


@pytest.fixture
def room():
    return Room()


def is_full(room):
    told_to_leave = threading.Event()
    told_to_leave.set()  # so that it does not wait
    return room._taken >= 1 - 1e-9 and not room.wait(told_to_leave)


def test_an_empty_room_lets_anybody_in_at_once(room, leaving):
    assert room.wait(leaving)


def test_there_is_room_until_the_shares_make_a_full_batch(room, leaving):
    with room.taken(1 / 3), room.taken(1 / 3):
        assert room.wait(leaving)
        with room.taken(1 / 3):
            assert is_full(room)
        assert room.wait(leaving)


def test_shares_that_do_not_add_up_exactly_still_fill_it(room):
    with room.taken(0.1), room.taken(0.2), room.taken(0.7 - 1e-12):
        assert is_full(room)


def test_the_last_job_may_be_larger_than_what_is_left_and_then_nothing_more_is_taken(room):
    with room.taken(0.9), room.taken(8.0):
        assert is_full(room)


def test_whoever_waits_comes_in_when_a_share_is_given_back(room, leaving):
    with room.taken(1.0):
        waiting = Background(lambda: room.wait(leaving))
    assert waiting.result() is True


def test_whoever_waits_goes_away_when_the_press_leaves(room, leaving):
    with room.taken(1.0):
        waiting = Background(lambda: room.wait(leaving))
        leaving.set()
        assert waiting.result() is False


def test_a_press_that_leaves_takes_nothing_even_into_an_empty_room(room, leaving):
    leaving.set()
    assert room.wait(leaving) is False


def test_a_share_is_given_back_however_the_block_ends(room, leaving):
    def break_off():
        with room.taken(1.0):
            raise ValueError

    with pytest.raises(ValueError):
        break_off()
    assert room.wait(leaving)


def test_many_small_shares_come_and_go_without_a_trace(room, leaving):
    for _ in range(1000):
        with room.taken(1 / 3), room.taken(1 / 7), room.taken(1 / 16):
            pass
    assert abs(room._taken) < 1e-9
