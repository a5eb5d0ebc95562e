"""Safety checkers that break: no verdict, no picture, and the job may be tried again."""

import math
import os
import signal
import threading
from typing import Any

import pytest

from common.errors import SafetyUnavailableError
from common.tables.states import JobStatus, Outcome, Verdict
from tests.support import factories
from tests.support.press_fixture import House
from worker.checkers.interface import Finding
from worker.checkers.scripted import ScriptedChecker
from worker.press import runner


class BrokenChecker(ScriptedChecker):
    """Gives what it is told to give, or raises it."""

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
def test_f59_a_checker_that_breaks_lets_nothing_out(house: House, kind: str) -> None:
    job = factories.submit(house.database, request={"num_images": 2})
    with house.press(checker=BrokenChecker(ANSWERS[kind])) as press:
        for _ in range(3):
            runner.run_next_job(press)
            factories.make_due(house.database, job.id)
    row = factories.read(house.database, job.id)
    assert (row.status, row.error_code, row.error_retryable) == (JobStatus.FAILED, "safety_unavailable", True)
    assert [attempt.outcome for attempt in house.attempts(job.id)] == [Outcome.RETRIED, Outcome.RETRIED, Outcome.FAILED]
    assert list(house.storage.list_keys("")) == []
    house.check()


def test_f59_a_checker_that_recovers_lets_the_job_out(house: House) -> None:
    job = factories.submit(house.database)
    with house.press(checker=BrokenChecker(None)) as broken:
        runner.run_next_job(broken)
    factories.make_due(house.database, job.id)
    with house.press() as sound:
        runner.run_next_job(sound)
    assert factories.read(house.database, job.id).status is JobStatus.SUCCEEDED
    house.check()


class HangingChecker(ScriptedChecker):
    """Never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.never = threading.Event()

    def check(self, picture: object) -> Any:
        self.never.wait()


def test_f59_a_checker_that_hangs_fails_the_attempt_and_has_its_press_start_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *order: asked.append(order))
    house.settings = house.settings.model_copy(update={"check_timeout_seconds": 0.1})
    job = factories.submit(house.database)
    hanging = HangingChecker()
    with house.press(checker=hanging) as press:
        runner.run_next_job(press)
    hanging.never.set()
    assert asked == [(os.getpid(), signal.SIGTERM)]
    (attempt,) = house.attempts(job.id)
    assert (attempt.outcome, attempt.error_code) == (Outcome.RETRIED, "safety_unavailable")
    assert list(house.storage.list_keys("")) == []
    factories.make_due(house.database, job.id)
    with house.press() as sound:
        runner.run_next_job(sound)
    assert factories.read(house.database, job.id).status is JobStatus.SUCCEEDED
    house.check()
