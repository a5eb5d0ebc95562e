"""Storages that are overloaded, lie, deny or are full: no second print, no lost job, nothing printed in vain."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.states.jobs import JobStatus, Outcome
from common.storage import open_storage
from common.storage.files import FileStorage
from tests.faults.support import scripted_s3
from tests.faults.support.scripted_s3 import DENIED, NO_BUCKET, SERVER_ERROR, SLOW_DOWN, WRONG_CLOCK, Refusal, Script
from tests.support import factories
from tests.support.press_fixture import PressFixture
from tests.support.waiting import until
from worker.press import runner

ONE_ROUND = 4
"""Tries that boto3 makes by itself."""


class FullDisk(FileStorage):
    """File storage whose disk can be switched to full: writes then go to a device without space."""

    is_full = False

    def put(self, key: str, data: bytes, content_type: str) -> None:
        if self.is_full:
            with self._translate_faults("written"), Path("/dev/full").open("wb") as file:
                file.write(data)
        super().put(key, data, content_type)


@pytest.fixture
def script(sqlite_press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """The script of the S3 server in which the press stores images."""
    with scripted_s3.serving(monkeypatch.setenv) as (script, storage):
        sqlite_press_fixture.storage = storage
        yield script


@pytest.fixture
def full_disk(sqlite_press_fixture: PressFixture) -> FullDisk:
    """A disk on which the press stores images."""
    files = open_storage(sqlite_press_fixture.settings)
    assert isinstance(files, FileStorage)
    sqlite_press_fixture.storage = FullDisk(files.root, files.links)
    return sqlite_press_fixture.storage


def _outcomes(press_fixture: PressFixture, job_id: object) -> list[Outcome]:
    return [attempt.outcome for attempt in press_fixture.attempts(job_id)]


@pytest.mark.parametrize("refusals", [[SERVER_ERROR], [SLOW_DOWN] * (ONE_ROUND + 1)], ids=["one 500", "five 503"])
def test_f34_an_overloaded_storage_repeats_the_upload_and_not_the_print(
    sqlite_press_fixture: PressFixture, script: Script, refusals: list[Refusal]
) -> None:
    script.refusals = list(refusals)
    job = factories.submit(sqlite_press_fixture.database)
    with sqlite_press_fixture.press() as press:
        runner.run_next_job(press)
    assert script.puts == len(refusals) + 2
    assert _outcomes(sqlite_press_fixture, job.id) == [Outcome.SUCCEEDED]
    sqlite_press_fixture.check()


def test_f36_an_object_truncated_by_storage_is_detected_and_uploaded_again(
    sqlite_press_fixture: PressFixture, script: Script
) -> None:
    script.loses_half = 1
    job = factories.submit(sqlite_press_fixture.database)
    with sqlite_press_fixture.press() as press:
        runner.run_next_job(press)
    assert _outcomes(sqlite_press_fixture, job.id) == [Outcome.SUCCEEDED]
    sqlite_press_fixture.check()


@pytest.mark.parametrize("refusal", [DENIED, NO_BUCKET, WRONG_CLOCK], ids=lambda refusal: refusal[1])
def test_f37_a_press_waits_while_storage_rejects_uploads_and_fails_no_job(
    sqlite_press_fixture: PressFixture, script: Script, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.press.publish.UPLOAD_PAUSE_SECONDS", 0.01)
    script.always = refusal
    _check_the_press_waits(sqlite_press_fixture, monkeypatch, lambda: setattr(script, "always", None))


def test_f44_a_press_whose_disk_is_full_waits_and_fails_no_job(
    sqlite_press_fixture: PressFixture, full_disk: FullDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.press.publish.UPLOAD_PAUSE_SECONDS", 0.01)
    full_disk.is_full = True
    _check_the_press_waits(sqlite_press_fixture, monkeypatch, lambda: setattr(full_disk, "is_full", False))


def test_f44_a_disk_with_hardly_any_space_counts_as_full(
    sqlite_press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.storage.files.LEAST_FREE_BYTES", 2**63)
    with sqlite_press_fixture.press() as press:
        assert not press.outlet.probe()
        monkeypatch.setattr("common.storage.files.LEAST_FREE_BYTES", 0)
        assert press.outlet.probe()


def _check_the_press_waits(press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch, mend: object) -> None:
    monkeypatch.setattr("worker.press.press.STORAGE_RETRY_SECONDS", 0.05)
    first, second = factories.submit(press_fixture.database), factories.submit(press_fixture.database)
    with press_fixture.press() as press, ThreadPoolExecutor(1) as thread:
        runner.run_next_job(press)
        assert not press.outlet.is_open
        waiting = thread.submit(runner.run_next_job, press)
        until(press._door.locked, "the press to wait at its door")
        assert _outcomes(press_fixture, first.id) == [Outcome.RETRIED]
        assert _outcomes(press_fixture, second.id) == []
        assert factories.read(press_fixture.database, first.id).strikes == 0, "it is no fault of the job"
        mend()
        waiting.result(60)
        runner.run_next_job(press)
    for job in (first, second):
        assert factories.read(press_fixture.database, job.id).status is JobStatus.SUCCEEDED
    press_fixture.check()
