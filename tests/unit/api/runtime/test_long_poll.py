"""Long polling: the preference, the slots and the time limit."""

import time

import pytest

from api.runtime.long_poll import LongPollSlots, parse_preference


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=10", 10),
        ("respond-async, wait=10", 10),
        ("WAIT = 5; foo=bar", 5),
        ('wait="7"', 7),
        ("wait=600", 60),
        ("wait=0", 0),
        ("wait", 0),
        ("wait=-1", 0),
        ("wait=１２", 0),
        ("wait=1.5", 0),
        ("respond-async", 0),
        ("", 0),
    ],
)
def test_the_wait_preference_is_parsed_and_everything_else_ignored(header: str, seconds: int) -> None:
    assert parse_preference(header) == seconds


def test_waiting_ends_when_the_condition_is_met() -> None:
    looks = iter([False, False, True])
    assert LongPollSlots(1).wait(lambda: next(looks), 60)


def test_waiting_ends_when_the_time_is_up() -> None:
    began = time.monotonic()
    assert LongPollSlots(1).wait(lambda: False, 0.1)
    assert 0.1 <= time.monotonic() - began < 1


def test_a_request_is_refused_while_all_slots_are_taken() -> None:
    slots = LongPollSlots(1)
    refused = []
    assert slots.wait(lambda: not refused.append(slots.wait(lambda: True, 1)), 1)  # type: ignore[func-returns-value]  # None
    assert refused == [False]
    assert slots.wait(lambda: True, 1)


def test_a_slot_is_freed_after_an_error() -> None:
    slots = LongPollSlots(1)
    with pytest.raises(ZeroDivisionError):
        slots.wait(lambda: bool(1 / 0), 1)
    assert slots.wait(lambda: True, 1)


def test_without_slots_nobody_waits() -> None:
    assert not LongPollSlots(0).wait(lambda: True, 1)


def test_a_slot_can_be_taken_and_returned() -> None:
    slots = LongPollSlots(1)
    assert slots.enter()
    assert not slots.enter()
    slots.leave()
    assert slots.enter()


def test_nobody_waits_while_the_server_stops() -> None:
    slots = LongPollSlots(1)
    looks: list[None] = []
    slots.close_when(lambda: len(looks) == 2)
    assert slots.wait(lambda: bool(looks.append(None)), 3600)  # type: ignore[func-returns-value]  # None
    assert slots.is_closing()
