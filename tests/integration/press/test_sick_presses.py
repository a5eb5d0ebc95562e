"""A press that fails job after job is taken out of service, and its jobs are printed by others."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from common.errors import OutOfMemoryError, PressroomError, StorageError
from common.states.jobs import JobStatus, Outcome
from common.storage.port import Storage
from common.tables import Press as PressRow
from tests.support import factories
from tests.support.press_fixture import PressFixture
from tests.support.waiting import until
from worker.engine.interface import Engine, Picture
from worker.press import circuit_breaker, runner
from worker.press.press import Press

PROBE_BYTES = 100

FAULTS = pytest.mark.parametrize(
    "error", [ZeroDivisionError(), OutOfMemoryError()], ids=["unforeseen", "out_of_memory"]
)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a job that failed wait until the test makes it due, nothing else wait long, and no idle press restart."""
    monkeypatch.setattr("worker.press.press.CONSUMER_STALL_SECONDS", 600.0)
    monkeypatch.setattr("common.jobs.lifecycle.BACKOFF_SECONDS", 600.0)
    monkeypatch.setattr("worker.press.publish.UPLOAD_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("worker.press.press.STORAGE_RETRY_SECONDS", 0.05)
    with capture_logs():  # to print the traceback of every fault takes seconds
        yield


class SickStorage:
    """A storage whose writes of pictures raise *error* until it is healed; those of probes are small, and succeed."""

    def __init__(self, sound: Storage, error: Exception) -> None:
        self._sound = sound
        self._error = error
        self.is_sick = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sound, name)

    def put(self, key: str, data: bytes, content_type: str) -> None:
        if self.is_sick and len(data) > PROBE_BYTES:
            raise self._error
        self._sound.put(key, data, content_type)


def poison(word: str, error: Exception) -> Callable[[Engine], Engine]:
    """Return an engine that fails with *error* on prompts with *word*."""

    class Poisoned:
        def __init__(self, sound: Engine) -> None:
            self._sound = sound

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sound, name)

        def generate(self, request: Any, *others: Any, **options: Any) -> list[Picture]:
            if word in request.prompt:
                raise error
            return self._sound.generate(request, *others, **options)

    return Poisoned


def submit_poison(press_fixture: PressFixture, jobs: int) -> list[UUID]:
    return [factories.submit(press_fixture.database, request={"prompt": "poison"}).id for _ in range(jobs)]


def find_fault(press_fixture: PressFixture, press: Press) -> str | None:
    with press_fixture.database.reading() as session:
        return session.get_one(PressRow, press.id).fault


def run_all(press_fixture: PressFixture, press: Press, job_ids: list[UUID]) -> None:
    for job_id in job_ids:
        factories.make_due(press_fixture.database, job_id)
    for _ in job_ids:
        runner.run_next_job(press)


@pytest.mark.parametrize("error", [ZeroDivisionError(), StorageError("The S3 server answered 413.")])
def test_a_press_whose_storage_call_raises_fails_no_job_and_is_taken_out(
    press_fixture: PressFixture, error: Exception
) -> None:
    jobs = [factories.submit(press_fixture.database).id for _ in range(6)]
    code = error.code if isinstance(error, PressroomError) else "internal_error"
    with replace(press_fixture, storage=SickStorage(press_fixture.storage, error)).press() as sick:
        for _ in range(circuit_breaker.MOST_FAULTS):
            assert sick.fault is None
            runner.run_next_job(sick)
        assert sick.fault == code
        assert not sick.breaker.may_claim
        until(lambda: find_fault(press_fixture, sick) == code, "the press to report")
        with press_fixture.press() as sound:
            run_all(press_fixture, sound, jobs)
    assert {factories.read(press_fixture.database, job_id).status for job_id in jobs} == {JobStatus.SUCCEEDED}
    assert sum(len(press_fixture.attempts(job_id)) for job_id in jobs) == 6 + circuit_breaker.MOST_FAULTS
    press_fixture.check()


@FAULTS
def test_a_press_beside_a_sound_one_is_taken_out_when_the_other_has_printed_its_jobs(
    press_fixture: PressFixture, error: Exception
) -> None:
    jobs = [factories.submit(press_fixture.database).id for _ in range(8)]
    with (
        ThreadPoolExecutor() as threads,
        press_fixture.press(engine=poison("", error)) as sick,
        press_fixture.press() as sound,
    ):
        for _ in range(circuit_breaker.MOST_FAULTS):
            runner.run_next_job(sick)
        assert sick.fault is None
        run_all(press_fixture, sound, jobs[: circuit_breaker.MOST_FAULTS])
        waiting = threads.submit(runner.run_next_job, sick)
        until(lambda: sick.fault, "the press to be taken out")
        run_all(press_fixture, sound, jobs[circuit_breaker.MOST_FAULTS :])
        assert sound.fault is None
        sick.leave()
        waiting.result(timeout=30)
    assert {factories.read(press_fixture.database, job_id).status for job_id in jobs} == {JobStatus.SUCCEEDED}
    assert sum(len(press_fixture.attempts(job_id)) for job_id in jobs) == 8 + circuit_breaker.MOST_FAULTS
    press_fixture.check()


def test_a_press_out_of_service_claims_nothing_and_comes_back_with_a_job_that_succeeds(
    press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [factories.submit(press_fixture.database).id for _ in range(4)]
    storage = SickStorage(press_fixture.storage, ZeroDivisionError())
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


def test_after_its_rest_a_press_tries_a_single_job_which_has_not_failed_there(
    press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = submit_poison(press_fixture, circuit_breaker.MOST_FAULTS)
    begun, may_end = threading.Semaphore(0), threading.Event()

    def attach(sound: Engine) -> Engine:
        poisoned = poison("poison", ZeroDivisionError())(sound)
        generate = poisoned.generate

        def generate_slowly(request: Any, *others: Any, **options: Any) -> list[Picture]:
            if "poison" not in request.prompt:
                begun.release()
                assert may_end.wait(30)
            return generate(request, *others, **options)

        monkeypatch.setattr(poisoned, "generate", generate_slowly, raising=False)
        return poisoned

    with ThreadPoolExecutor() as threads, press_fixture.press(engine=attach) as press:
        run_all(press_fixture, press, bad)
        assert press.fault == "internal_error"
        good = [factories.submit(press_fixture.database).id for _ in range(2)]
        for job_id in bad:
            factories.make_due(press_fixture.database, job_id)
        waiting = [threads.submit(runner.run_next_job, press) for _ in range(5)]
        monkeypatch.setattr(press.breaker, "_rests_until", 0.0)
        assert begun.acquire(timeout=30)
        assert not press.breaker.may_claim
        assert [len(press_fixture.attempts(job_id)) for job_id in (*bad, *good)] == [1, 1, 1, 1, 0]
        may_end.set()
        for each in waiting:
            each.result(timeout=30)
    assert {factories.read(press_fixture.database, job_id).status for job_id in good} == {JobStatus.SUCCEEDED}


def test_a_job_that_failed_on_a_press_is_left_to_another(press_fixture: PressFixture) -> None:
    job = factories.submit(press_fixture.database)
    with (
        replace(press_fixture, storage=SickStorage(press_fixture.storage, ZeroDivisionError())).press() as sick,
        press_fixture.press() as sound,
    ):
        runner.run_next_job(sick)
        factories.make_due(press_fixture.database, job.id)
        runner.run_next_job(sick)
        assert len(press_fixture.attempts(job.id)) == 1
        runner.run_next_job(sound)
    assert [each.outcome for each in press_fixture.attempts(job.id)] == [Outcome.RETRIED, Outcome.SUCCEEDED]
    press_fixture.check()


@FAULTS
def test_jobs_that_fail_everywhere_end_after_their_strikes_and_take_out_no_press_beside_another(
    press_fixture: PressFixture, error: Exception
) -> None:
    bad = submit_poison(press_fixture, 2 * circuit_breaker.MOST_FAULTS)
    engine = poison("poison", error)
    with press_fixture.press(engine=engine) as first, press_fixture.press(engine=engine) as second:
        run_all(press_fixture, first, bad[: circuit_breaker.MOST_FAULTS])
        run_all(press_fixture, second, bad[circuit_breaker.MOST_FAULTS :])
        for press in (first, second, first):
            run_all(press_fixture, press, bad)
        assert (first.fault, second.fault) == (None, None)
        good = factories.submit(press_fixture.database)
        runner.run_next_job(second)
    for job_id in bad:
        row = factories.read(press_fixture.database, job_id)
        assert row.status is JobStatus.FAILED
        assert len(press_fixture.attempts(job_id)) == 3
    assert factories.read(press_fixture.database, good.id).status is JobStatus.SUCCEEDED
    press_fixture.check()


def test_a_press_that_alone_offers_a_model_is_taken_out_by_its_jobs(press_fixture: PressFixture) -> None:
    submit_poison(press_fixture, circuit_breaker.MOST_FAULTS)
    with press_fixture.press(engine=poison("poison", ZeroDivisionError())) as only:
        factories.press(press_fixture.database, models=["another"])
        for _ in range(circuit_breaker.MOST_FAULTS):
            runner.run_next_job(only)
        assert only.fault == "internal_error"


def test_a_single_job_that_fails_everywhere_takes_out_no_press(press_fixture: PressFixture) -> None:
    (bad,) = submit_poison(press_fixture, 1)
    with press_fixture.press(engine=poison("poison", ZeroDivisionError())) as only:
        for _ in range(3):
            run_all(press_fixture, only, [bad])
        assert only.fault is None
    assert factories.read(press_fixture.database, bad).status is JobStatus.FAILED
    press_fixture.check()
