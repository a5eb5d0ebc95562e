import pytest

from tests.support.engine.engine_fixture import Background
from worker.press import capacity
from worker.press.capacity import Capacity


@pytest.fixture
def press_capacity(monkeypatch):
    monkeypatch.setattr(capacity, "POLL_SECONDS", 0.01)
    return Capacity()


def test_an_empty_room_lets_anybody_in_at_once(press_capacity):
    assert press_capacity.wait()


def test_there_is_room_until_the_shares_make_a_full_batch(press_capacity):
    with press_capacity.taken(1 / 3), press_capacity.taken(1 / 3):
        assert press_capacity.wait()
        with press_capacity.taken(1 / 3):
            assert not press_capacity.wait()
        assert press_capacity.wait()


def test_shares_that_do_not_add_up_exactly_still_fill_it(press_capacity):
    with press_capacity.taken(0.1), press_capacity.taken(0.2), press_capacity.taken(0.7 - 1e-12):
        assert not press_capacity.wait()


def test_the_last_job_may_be_larger_than_what_is_left_and_then_nothing_more_is_let_in(press_capacity):
    with press_capacity.taken(0.9), press_capacity.taken(8.0):
        assert not press_capacity.wait()
        assert not press_capacity.has_some_for_the_urgent


def test_what_is_urgent_is_let_in_up_to_a_quarter_more(press_capacity):
    with press_capacity.taken(1.0):
        assert press_capacity.has_some_for_the_urgent
        with press_capacity.taken(0.2):
            assert press_capacity.has_some_for_the_urgent
        with press_capacity.taken(0.25):
            assert not press_capacity.has_some_for_the_urgent


def test_whoever_waits_is_woken_when_a_share_is_given_back(press_capacity, monkeypatch):
    monkeypatch.setattr(capacity, "POLL_SECONDS", 60)
    with press_capacity.taken(1.0):
        waiting = Background(press_capacity.wait)
    assert waiting.result() is True


def test_a_share_is_given_back_however_the_block_ends(press_capacity):
    def break_off():
        with press_capacity.taken(1.0):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert press_capacity.wait()


def test_many_small_shares_come_and_go_without_a_trace(press_capacity):
    for _ in range(1000):
        with press_capacity.taken(1 / 3), press_capacity.taken(1 / 7), press_capacity.taken(1 / 16):
            pass
    assert abs(press_capacity._taken) < 1e-9
