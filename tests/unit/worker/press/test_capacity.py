import pytest

from tests.support.engine.engines import Background
from worker.press import capacity
from worker.press.capacity import Capacity


@pytest.fixture
def room(monkeypatch):
    monkeypatch.setattr(capacity, "POLL_SECONDS", 0.01)
    return Capacity()


def test_an_empty_room_lets_anybody_in_at_once(room):
    assert room.wait()


def test_there_is_room_until_the_shares_make_a_full_batch(room):
    with room.taken(1 / 3), room.taken(1 / 3):
        assert room.wait()
        with room.taken(1 / 3):
            assert not room.wait()
        assert room.wait()


def test_shares_that_do_not_add_up_exactly_still_fill_it(room):
    with room.taken(0.1), room.taken(0.2), room.taken(0.7 - 1e-12):
        assert not room.wait()


def test_the_last_job_may_be_larger_than_what_is_left_and_then_nothing_more_is_let_in(room):
    with room.taken(0.9), room.taken(8.0):
        assert not room.wait()
        assert not room.has_some_for_the_urgent


def test_what_is_urgent_is_let_in_up_to_a_quarter_more(room):
    with room.taken(1.0):
        assert room.has_some_for_the_urgent
        with room.taken(0.2):
            assert room.has_some_for_the_urgent
        with room.taken(0.25):
            assert not room.has_some_for_the_urgent


def test_whoever_waits_is_woken_when_a_share_is_given_back(room, monkeypatch):
    monkeypatch.setattr(capacity, "POLL_SECONDS", 60)
    with room.taken(1.0):
        waiting = Background(room.wait)
    assert waiting.result() is True


def test_a_share_is_given_back_however_the_block_ends(room):
    def break_off():
        with room.taken(1.0):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert room.wait()


def test_many_small_shares_come_and_go_without_a_trace(room):
    for _ in range(1000):
        with room.taken(1 / 3), room.taken(1 / 7), room.taken(1 / 16):
            pass
    assert abs(room._taken) < 1e-9
