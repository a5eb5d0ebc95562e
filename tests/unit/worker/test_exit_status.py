"""The exit status of a press tells its supervisor whether to start another."""

import os
import signal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from worker import main
from worker.press.press import Press
from worker.press.restart import Restart


@pytest.fixture
def press(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A press that leaves at SIGTERM."""
    press = SimpleNamespace(is_leaving=False, restart=Restart(), stop=lambda: None)

    def leave(process: int, number: int) -> None:
        assert (process, number) == (os.getpid(), signal.SIGTERM)
        press.is_leaving = True

    monkeypatch.setattr(os, "kill", leave)
    return press


def _run(press: Any, monkeypatch: pytest.MonkeyPatch, end: Any) -> int:
    monkeypatch.setattr(main, "_consume_messages", lambda _press: end())
    return main.run_consumer(cast("Press", press))


def test_a_press_that_was_asked_to_stop_ends_with_0(press: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run(press, monkeypatch, lambda: os.kill(os.getpid(), signal.SIGTERM)) == 0


def test_a_press_that_restarts_itself_ends_with_another_status(press: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run(press, monkeypatch, press.restart.request) == main.EXIT_UNAVAILABLE


def test_a_press_whose_consumer_ends_by_itself_ends_with_another_status(
    press: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run(press, monkeypatch, lambda: None) == main.EXIT_UNAVAILABLE
