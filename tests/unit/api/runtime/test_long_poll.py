"""Long polling: the preference, the slots and the time limit."""

import time

import pytest

from api.runtime.long_poll import LongPollSlots, parse_preference
from api.web.owner_places import OwnerPlaces


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


def open_slots(total: int = 1, share: int = 1) -> LongPollSlots:
    return LongPollSlots(OwnerPlaces(total, min(total, share)))


def test_waiting_ends_when_the_condition_is_met() -> None:
    looks = iter([False, False, True])
    assert open_slots().wait("ada", lambda: next(looks), 60)


def test_waiting_ends_when_the_time_is_up() -> None:
    began = time.monotonic()
    assert open_slots().wait("ada", lambda: False, 0.1)
    assert 0.1 <= time.monotonic() - began < 1


def test_a_request_is_refused_while_all_slots_are_taken() -> None:
    slots = open_slots()
    refused = []
    assert slots.wait("ada", lambda: not refused.append(slots.wait("eve", lambda: True, 1)), 1)  # type: ignore[func-returns-value]  # None
    assert refused == [False]
    assert slots.wait("ada", lambda: True, 1)


def test_a_slot_is_freed_after_an_error() -> None:
    slots = open_slots()
    with pytest.raises(ZeroDivisionError):
        slots.wait("ada", lambda: bool(1 / 0), 1)
    assert slots.wait("ada", lambda: True, 1)


def test_without_slots_nobody_waits() -> None:
    assert not open_slots(0).wait("ada", lambda: True, 1)


def test_an_owner_who_waits_too_often_does_not_keep_others_from_waiting() -> None:
    slots = open_slots(3, 2)
    first, second = slots.enter("ada"), slots.enter("ada")
    assert first is not None
    assert second is not None
    assert slots.enter("ada") is None
    assert slots.enter("eve") is not None
    first()
    assert slots.enter("ada") is not None


def test_nobody_waits_while_the_server_stops() -> None:
    slots = open_slots()
    looks: list[None] = []
    slots.close_when(lambda: len(looks) == 2)
    assert slots.wait("ada", lambda: bool(looks.append(None)), 3600)  # type: ignore[func-returns-value]  # None
    assert slots.is_closing()
