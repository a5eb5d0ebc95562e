"""Alarms go off once, late by a little, and not at all for a block that has ended."""

import threading

from api.web.timeouts import POLL_SECONDS, Alarms


def test_an_alarm_fires_once() -> None:
    notified, calls = threading.Event(), []
    alarms = Alarms()
    alarms.set(0, lambda: (calls.append(1), notified.set()))
    assert notified.wait(30)
    second = threading.Event()
    alarms.set(0, second.set)
    assert second.wait(30)
    assert len(calls) == 1


def test_a_canceled_alarm_does_not_fire() -> None:
    called_off, notified = threading.Event(), threading.Event()
    alarms = Alarms()
    alarms.clear(alarms.set(0, called_off.set))
    alarms.set(2 * POLL_SECONDS, notified.set)
    assert notified.wait(30)
    assert not called_off.is_set()
