"""Safety checkers that break: no verdict, no picture, and the job may be tried again."""

import math
import os
import signal
import threading
from typing import Any

import pytest

from common.errors import SafetyUnavailableError
from common.states.jobs import JobStatus, Outcome, Verdict
from tests.support import factories
from tests.support.press_fixture import PressFixture
from worker.checkers.interface import Finding
from worker.checkers.scripted import ScriptedChecker
from worker.press import runner


class BrokenChecker(ScriptedChecker):
    """Returns or raises the scripted result."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self._answer = answer

    def check(self, picture: object) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def _finding(verdict: Any, score: Any) -> Finding:
    return Finding(verdict, {"nsfw": score}, "broken", "")


ANSWERS = {
    "nothing": None,
    "an empty list": [],
    "a bare yes": True,
    "a word for a verdict": _finding("pass", 0.0),
    "no verdict": _finding(None, 0.0),
    "a score that is no number": _finding(Verdict.PASS, math.nan),
    "an infinite score": _finding(Verdict.PASS, math.inf),
    "no score": _finding(Verdict.PASS, None),
    "its own error": SafetyUnavailableError(),
    "anybody's error": RuntimeError("the network has no idea"),
    "an end of memory": MemoryError(),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_f59_nothing_is_published_while_the_checker_fails(press_fixture: PressFixture, kind: str) -> None:
    job = factories.submit(press_fixture.database, request={"num_images": 2})
    with press_fixture.press(checker=BrokenChecker(ANSWERS[kind])) as press:
        for _ in range(3):
            runner.run_next_job(press)
            factories.make_due(press_fixture.database, job.id)
    row = factories.read(press_fixture.database, job.id)
    assert (row.status, row.error_code, row.error_retryable) == (JobStatus.FAILED, "safety_unavailable", True)
    assert [attempt.outcome for attempt in press_fixture.attempts(job.id)] == [
        Outcome.RETRIED,
        Outcome.RETRIED,
        Outcome.FAILED,
    ]
    assert list(press_fixture.storage.list_keys("")) == []
    press_fixture.check()


def test_f59_a_job_is_published_once_the_checker_recovers(press_fixture: PressFixture) -> None:
    job = factories.submit(press_fixture.database)
    with press_fixture.press(checker=BrokenChecker(None)) as broken:
        runner.run_next_job(broken)
    factories.make_due(press_fixture.database, job.id)
    with press_fixture.press() as sound:
        runner.run_next_job(sound)
    assert factories.read(press_fixture.database, job.id).status is JobStatus.SUCCEEDED
    press_fixture.check()


class HangingChecker(ScriptedChecker):
    """Never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.never = threading.Event()

    def check(self, picture: object) -> Any:
        self.never.wait()


def test_f59_a_checker_that_hangs_fails_the_attempt_and_restarts_the_press(
    press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *order: asked.append(order))
    press_fixture.settings = press_fixture.settings.model_copy(update={"check_timeout_seconds": 0.1})
    job = factories.submit(press_fixture.database)
    hanging = HangingChecker()
    with press_fixture.press(checker=hanging) as press:
        runner.run_next_job(press)
    hanging.never.set()
    assert asked == [(os.getpid(), signal.SIGTERM)]
    assert press.restart.is_requested
    (attempt,) = press_fixture.attempts(job.id)
    assert (attempt.outcome, attempt.error_code) == (Outcome.RETRIED, "safety_unavailable")
    assert list(press_fixture.storage.list_keys("")) == []
    factories.make_due(press_fixture.database, job.id)
    with press_fixture.press() as sound:
        runner.run_next_job(sound)
    assert factories.read(press_fixture.database, job.id).status is JobStatus.SUCCEEDED
    press_fixture.check()
