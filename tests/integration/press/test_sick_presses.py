"""A press that fails job after job is taken out of service, and its jobs are printed by others."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from common.states.jobs import JobStatus, Outcome
from common.storage.port import Storage
from common.tables import Press as PressRow
from tests.support import factories
from tests.support.press_fixture import PressFixture
from tests.support.waiting import until
from worker.engine.interface import Engine, Picture
from worker.press import circuit_breaker, runner
from worker.press.press import Press


class SickStorage:
    """A storage whose writes raise what nobody has foreseen, until it is healed."""

    def __init__(self, sound: Storage) -> None:
        self._sound = sound
        self.is_sick = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sound, name)

    def put(self, *object_: Any) -> None:
        if self.is_sick:
            raise ZeroDivisionError
        self._sound.put(*object_)


def poison(word: str) -> Callable[[Engine], Engine]:
    """Return an engine that fails on prompts with *word*."""

    class Poisoned:
        def __init__(self, sound: Engine) -> None:
            self._sound = sound

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sound, name)

        def generate(self, request: Any, *others: Any, **options: Any) -> list[Picture]:
            if word in request.prompt:
                raise ZeroDivisionError
            return self._sound.generate(request, *others, **options)

    return Poisoned


def find_fault(press_fixture: PressFixture, press: Press) -> str | None:
    with press_fixture.database.reading() as session:
        return session.get_one(PressRow, press.id).fault


def run_all(press_fixture: PressFixture, press: Press, job_ids: list[UUID]) -> None:
    for job_id in job_ids:
        factories.make_due(press_fixture.database, job_id)
    for _ in job_ids:
        runner.run_next_job(press)


def test_a_press_whose_storage_call_raises_fails_no_job_and_is_taken_out(press_fixture: PressFixture) -> None:
    jobs = [factories.submit(press_fixture.database).id for _ in range(6)]
    with replace(press_fixture, storage=SickStorage(press_fixture.storage)).press() as sick:
        for _ in range(circuit_breaker.MOST_FAULTS):
            assert sick.fault is None
            runner.run_next_job(sick)
        assert sick.fault == "internal_error"
        assert not sick.breaker.may_claim
        until(lambda: find_fault(press_fixture, sick) == "internal_error", "the press to report")
        with press_fixture.press() as sound:
            run_all(press_fixture, sound, jobs)
    assert {factories.read(press_fixture.database, job_id).status for job_id in jobs} == {JobStatus.SUCCEEDED}
    assert sum(len(press_fixture.attempts(job_id)) for job_id in jobs) == 6 + circuit_breaker.MOST_FAULTS
    press_fixture.check()


def test_a_press_out_of_service_claims_nothing_and_comes_back_with_a_job_that_succeeds(
    press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.press.press.STORAGE_RETRY_SECONDS", 0.05)
    jobs = [factories.submit(press_fixture.database).id for _ in range(4)]
    storage = SickStorage(press_fixture.storage)
    with ThreadPoolExecutor() as threads, replace(press_fixture, storage=storage).press() as press:
        for _ in range(circuit_breaker.MOST_FAULTS):
            runner.run_next_job(press)
        waiting = threads.submit(runner.run_next_job, press)
        storage.is_sick = False
        assert press_fixture.attempts(jobs[3]) == []
        assert not waiting.done()
        monkeypatch.setattr(press.breaker, "_rests_until", 0.0)
        waiting.result(timeout=30)
        assert press.fault is None
        run_all(press_fixture, press, jobs[:3])
    assert {factories.read(press_fixture.database, job_id).status for job_id in jobs} == {JobStatus.SUCCEEDED}
    press_fixture.check()


def test_a_job_that_failed_on_a_press_is_left_to_another(press_fixture: PressFixture) -> None:
    job = factories.submit(press_fixture.database)
    with (
        replace(press_fixture, storage=SickStorage(press_fixture.storage)).press() as sick,
        press_fixture.press() as sound,
    ):
        runner.run_next_job(sick)
        factories.make_due(press_fixture.database, job.id)
        runner.run_next_job(sick)
        assert len(press_fixture.attempts(job.id)) == 1
        runner.run_next_job(sound)
    assert [each.outcome for each in press_fixture.attempts(job.id)] == [Outcome.RETRIED, Outcome.SUCCEEDED]
    press_fixture.check()


def test_jobs_that_fail_everywhere_end_after_their_strikes_and_take_out_no_second_press(
    press_fixture: PressFixture,
) -> None:
    bad = [factories.submit(press_fixture.database, request={"prompt": "poison"}).id for _ in range(3)]
    with press_fixture.press(engine=poison("poison")) as first, press_fixture.press(engine=poison("poison")) as second:
        run_all(press_fixture, first, bad)
        assert first.fault == "internal_error"
        for _ in range(2):
            run_all(press_fixture, second, bad)
        assert second.fault is None
        good = factories.submit(press_fixture.database)
        runner.run_next_job(second)
    for job_id in bad:
        row = factories.read(press_fixture.database, job_id)
        assert (row.status, row.error_code) == (JobStatus.FAILED, "internal_error")
        assert len(press_fixture.attempts(job_id)) == 3
    assert factories.read(press_fixture.database, good.id).status is JobStatus.SUCCEEDED
    press_fixture.check()


def test_a_single_job_that_fails_everywhere_takes_out_no_press(press_fixture: PressFixture) -> None:
    bad = factories.submit(press_fixture.database, request={"prompt": "poison"}).id
    with press_fixture.press(engine=poison("poison")) as only:
        for _ in range(3):
            run_all(press_fixture, only, [bad])
        assert only.fault is None
    assert factories.read(press_fixture.database, bad).status is JobStatus.FAILED
    press_fixture.check()
