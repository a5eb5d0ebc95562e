import pytest

from tests.support.engine.engine_fixture import Background
from worker.press import capacity
from worker.press.capacity import Capacity


@pytest.fixture
def press_capacity(monkeypatch):
    monkeypatch.setattr(capacity, "POLL_SECONDS", 0.01)
    return Capacity()


def test_free_capacity_admits_a_job_at_once(press_capacity):
    assert press_capacity.wait()


def test_jobs_are_admitted_until_their_shares_fill_a_batch(press_capacity):
    with press_capacity.taken(1 / 3), press_capacity.taken(1 / 3):
        assert press_capacity.wait()
        with press_capacity.taken(1 / 3):
            assert not press_capacity.wait()
        assert press_capacity.wait()


def test_shares_that_do_not_add_up_exactly_still_fill_a_batch(press_capacity):
    with press_capacity.taken(0.1), press_capacity.taken(0.2), press_capacity.taken(0.7 - 1e-12):
        assert not press_capacity.wait()


def test_the_last_job_may_exceed_the_remaining_capacity_and_fills_it(press_capacity):
    with press_capacity.taken(0.9), press_capacity.taken(8.0):
        assert not press_capacity.wait()
        assert not press_capacity.has_some_for_the_urgent


def test_interactive_jobs_are_admitted_up_to_a_quarter_more(press_capacity):
    with press_capacity.taken(1.0):
        assert press_capacity.has_some_for_the_urgent
        with press_capacity.taken(0.2):
            assert press_capacity.has_some_for_the_urgent
        with press_capacity.taken(0.25):
            assert not press_capacity.has_some_for_the_urgent


def test_a_waiter_is_woken_when_a_share_is_returned(press_capacity, monkeypatch):
    monkeypatch.setattr(capacity, "POLL_SECONDS", 60)
    with press_capacity.taken(1.0):
        waiting = Background(press_capacity.wait)
    assert waiting.result() is True


def test_a_share_is_returned_however_the_block_ends(press_capacity):
    def break_off():
        with press_capacity.taken(1.0):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert press_capacity.wait()


def test_many_small_shares_leave_no_rounding_error(press_capacity):
    for _ in range(1000):
        with press_capacity.taken(1 / 3), press_capacity.taken(1 / 7), press_capacity.taken(1 / 16):
            pass
    assert abs(press_capacity._taken) < 1e-9
