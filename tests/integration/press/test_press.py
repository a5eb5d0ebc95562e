"""A press in this process, from the claim to the published image, on both databases and with files for storage."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from PIL import Image as Pillow

from common.clock import utcnow
from common.errors import InterruptedAttemptError, InvalidPictureError, SafetyUnavailableError, StorageError
from common.jobs import lifecycle
from common.states.jobs import ImageStatus, JobStatus, Outcome, Priority, Verdict
from common.tables import Job
from common.usage import owner_usage, usage
from tests.support import factories
from tests.support.press_fixture import PressFixture
from tests.support.waiting import until
from worker.checkers.interface import Thresholds
from worker.checkers.open_nsfw import DONKEY, OpenNsfwChecker
from worker.checkers.scripted import ScriptedChecker, build_sequence_rule
from worker.engine.interface import Engine, Picture
from worker.engine.painted import MOST_ROWS
from worker.press import runner
from worker.press.held_job import HeldJob


def test_a_job_is_printed_checked_stored_and_priced(press_fixture: PressFixture) -> None:
    job = factories.submit(press_fixture.database, request={"num_images": 2})
    with press_fixture.press() as press:
        runner.run_next_job(press)
    assert factories.read(press_fixture.database, job.id).status is JobStatus.SUCCEEDED
    for image in press_fixture.images(job.id):
        assert float(image.amount) == pytest.approx(image.gpu_seconds, abs=1e-6), "a second costs one here"
    press_fixture.check()


def test_a_notification_without_work_does_nothing(press_fixture: PressFixture) -> None:
    with press_fixture.press() as press:
        runner.run_next_job(press)
    press_fixture.check()


def test_the_donkey_is_blocked_by_the_real_checker_and_nothing_of_it_can_be_read(press_fixture: PressFixture) -> None:
    with Pillow.open(DONKEY) as file:
        donkey = Pillow.new("RGB", file.size, "white")
        donkey.paste(file, mask=file.getchannel("A"))
    job = factories.submit(press_fixture.database, request={"width": 256, "height": 256})
    checker = OpenNsfwChecker(
        Thresholds(press_fixture.settings.safety_review_above, press_fixture.settings.safety_block_above)
    )
    with press_fixture.press(checker=checker, picture=donkey) as press:
        runner.run_next_job(press)

    row = factories.read(press_fixture.database, job.id)
    assert (row.status, row.error_code, row.error_retryable) == (JobStatus.FAILED, "content_blocked", False)
    (image,) = press_fixture.images(job.id)
    assert (image.status, image.verdict, image.amount) == (ImageStatus.BLOCKED, Verdict.BLOCK, 0)
    assert (image.storage_key, image.thumbnail_key, image.sha256) == (None, None, None)
    assert image.safety["scores"]["nsfw"] >= 0.8
    assert list(press_fixture.storage.list_keys("")) == []
    (attempt,) = press_fixture.attempts(job.id)
    assert attempt.outcome is Outcome.BLOCKED
    assert attempt.gpu_seconds > 0, "the waste is booked"
    press_fixture.check()


def test_where_some_images_are_blocked_the_others_are_delivered(press_fixture: PressFixture) -> None:
    job = factories.submit(press_fixture.database, request={"num_images": 3})
    with press_fixture.press(
        checker=ScriptedChecker(build_sequence_rule(Verdict.PASS, Verdict.BLOCK, Verdict.REVIEW))
    ) as press:
        runner.run_next_job(press)
    assert factories.read(press_fixture.database, job.id).status is JobStatus.SUCCEEDED
    assert [(image.status, image.amount > 0) for image in press_fixture.images(job.id)] == [
        (ImageStatus.DELIVERED, True),
        (ImageStatus.BLOCKED, False),
        (ImageStatus.DELIVERED, True),
    ]
    press_fixture.check()


def test_nothing_is_published_without_a_verdict(press_fixture: PressFixture) -> None:
    def refuse(_: Pillow.Image) -> Verdict:
        raise SafetyUnavailableError

    job = factories.submit(press_fixture.database)
    with press_fixture.press(checker=ScriptedChecker(refuse)) as press:
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


class Broken:
    """An engine that fails with the given error so many times."""

    def __init__(self, sound: Engine, faults: list[Exception]) -> None:
        self._sound = sound
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sound, name)

    def generate(self, *order: Any, **options: Any) -> list[Picture]:
        if self._faults:
            raise self._faults.pop(0)
        return self._sound.generate(*order, **options)


def test_a_transient_fault_of_the_engine_is_tried_again(press_fixture: PressFixture) -> None:
    job = factories.submit(press_fixture.database)
    with press_fixture.press(engine=lambda sound: Broken(sound, [InvalidPictureError()])) as press:
        runner.run_next_job(press)
        assert factories.read(press_fixture.database, job.id).status is JobStatus.QUEUED
        factories.make_due(press_fixture.database, job.id)
        runner.run_next_job(press)
    assert factories.read(press_fixture.database, job.id).status is JobStatus.SUCCEEDED
    press_fixture.check()


def test_an_unexpected_error_in_every_attempt_fails_the_job_and_not_the_press(press_fixture: PressFixture) -> None:
    first = factories.submit(press_fixture.database)
    faults: list[Exception] = [ZeroDivisionError("inner workings") for _ in range(3)]
    with press_fixture.press(engine=lambda sound: Broken(sound, faults)) as press:
        for _ in range(3):
            assert factories.read(press_fixture.database, first.id).status is JobStatus.QUEUED
            factories.make_due(press_fixture.database, first.id)
            runner.run_next_job(press)
        second = factories.submit(press_fixture.database)
        runner.run_next_job(press)
    row = factories.read(press_fixture.database, first.id)
    assert (row.status, row.error_code, row.error_retryable) == (JobStatus.FAILED, "internal_error", True)
    assert "inner workings" not in (row.error_message or "")
    assert factories.read(press_fixture.database, second.id).status is JobStatus.SUCCEEDED
    press_fixture.check()


def test_a_storage_that_fails_once_repeats_the_upload_and_not_the_print(
    press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = factories.submit(press_fixture.database)
    put, faults = press_fixture.storage.put, [StorageError("no space for now")]

    def put_later(key: str, data: bytes, content_type: str) -> None:
        if faults:
            raise faults.pop()
        put(key, data, content_type)

    monkeypatch.setattr(press_fixture.storage, "put", put_later)
    with press_fixture.press() as press:
        runner.run_next_job(press)
    assert factories.read(press_fixture.database, job.id).status is JobStatus.SUCCEEDED
    assert len(press_fixture.attempts(job.id)) == 1
    press_fixture.check()


def test_a_stopping_press_releases_its_unfinished_jobs(press_fixture: PressFixture) -> None:
    job = factories.submit(press_fixture.database)
    with press_fixture.press() as press:
        press.leave()
        runner.run_next_job(press)
    assert factories.read(press_fixture.database, job.id).status is JobStatus.QUEUED
    assert press_fixture.attempts(job.id) == []
    with press_fixture.press() as another:
        runner.run_next_job(another)
    assert factories.read(press_fixture.database, job.id).status is JobStatus.SUCCEEDED
    press_fixture.check()


def test_an_interactive_job_joins_a_full_bulk_batch_and_goes_first(press_fixture: PressFixture) -> None:
    slow = press_fixture.settings.model_copy(update={"painted_step_seconds": 0.01})
    bulk = [
        factories.submit(press_fixture.database, priority=Priority.BULK, request={"steps": 100})
        for _ in range(MOST_ROWS + 1)
    ]
    with replace(press_fixture, settings=slow).press() as press, ThreadPoolExecutor() as threads:
        heard = [threads.submit(runner.run_next_job, press) for _ in bulk]
        until(
            lambda: [factories.read(press_fixture.database, job.id).status for job in bulk].count(JobStatus.RUNNING),
            "bulk",
        )
        urgent = factories.submit(press_fixture.database, request={"steps": 5})
        heard.append(threads.submit(runner.run_next_job, press))
        for each in heard:
            each.result()
    ended = {job.id: factories.read(press_fixture.database, job.id).finished_at for job in [urgent, *bulk]}
    assert min(ended, key=lambda job_id: ended[job_id]) == urgent.id
    press_fixture.check()


def test_a_press_stopped_at_work_releases_its_job_with_all_seconds_booked(press_fixture: PressFixture) -> None:
    slow = press_fixture.settings.model_copy(update={"painted_step_seconds": 0.01})
    job = factories.submit(press_fixture.database, request={"steps": 10_000})
    with ThreadPoolExecutor() as threads:
        with replace(press_fixture, settings=slow).press() as press:
            heard = threads.submit(runner.run_next_job, press)
            until(lambda: any(attempt.gpu_seconds > 0 for attempt in press_fixture.attempts(job.id)), "the first steps")
        heard.result()
    assert factories.read(press_fixture.database, job.id).status is JobStatus.QUEUED
    (attempt,) = press_fixture.attempts(job.id)
    assert attempt.outcome is Outcome.RELEASED
    with press_fixture.database.transaction() as session:
        lifecycle.cancel_job(session, session.get_one(Job, job.id))
    press_fixture.check()


def test_a_press_with_two_attempts_at_a_job_drops_only_the_old_one(press_fixture: PressFixture) -> None:
    job = factories.submit(press_fixture.database)
    with press_fixture.press() as press:
        works = []
        for _ in range(2):
            held = factories.claim(press_fixture.database, press.id, models=["painted"])
            assert held is not None
            works.append(HeldJob(held))
            if len(works) == 1:
                factories.age(press_fixture.database, job.id, "lease_until", timedelta(seconds=1))
                with press_fixture.database.transaction() as session:
                    lifecycle.requeue_lost_jobs(session, max_strikes=3)
        old, new = works
        with press.holding(new):
            with press.holding(old), press_fixture.database.transaction() as session:
                press.report(session)
            with pytest.raises(InterruptedAttemptError):
                old.check_interruption()
            new.check_interruption()
            factories.age(press_fixture.database, job.id, "lease_until", timedelta(seconds=1))
            with press_fixture.database.transaction() as session:
                press.report(session)
                assert lifecycle.requeue_lost_jobs(session, max_strikes=3) == (0, 0), "its lease was extended"
            with press_fixture.database.transaction() as session:
                lifecycle.release_job(session, new.claim, new.spent)


def test_each_image_reports_its_colours_and_its_palette_score(press_fixture: PressFixture) -> None:
    picture = Pillow.new("RGB", (64, 64), "#f0d040")
    picture.paste("#102080", (0, 0, 32, 64))
    with press_fixture.press(picture=picture) as press:
        plain = factories.submit(press_fixture.database)
        worn = factories.submit(press_fixture.database, palette=["#f0d040", "#102080"])
        broken = factories.submit(press_fixture.database, palette=["#102080"])
        for _ in range(3):
            runner.run_next_job(press)
    scores = [press_fixture.images(job.id)[0].palette_score for job in (plain, worn, broken)]
    assert scores == [None, pytest.approx(1, abs=0.05), pytest.approx(0.5, abs=0.05)]
    colours = press_fixture.images(plain.id)[0].colours or []
    assert [colour["share"] for colour in colours] == [0.5, 0.5]


def test_an_image_is_charged_at_most_the_limit_of_its_job_and_the_rest_is_overrun(press_fixture: PressFixture) -> None:
    most = Decimal("0.001")
    job = factories.submit(press_fixture.database, max_amount=most)
    with press_fixture.press() as press:
        runner.run_next_job(press)
    (image,), (attempt,) = press_fixture.images(job.id), press_fixture.attempts(job.id)
    assert image.amount == most
    assert image.gpu_seconds == pytest.approx(0.001), "a second costs one here"
    assert image.gpu_seconds + image.overrun_seconds == pytest.approx(attempt.gpu_seconds)
    with press_fixture.database.reading() as session:
        used = owner_usage.load_usage(
            session, job.owner, utcnow() - timedelta(hours=3), utcnow() + timedelta(minutes=1)
        )
    assert used.waste == {usage.OVERRUN: pytest.approx(image.overrun_seconds)}
    assert used.delivered == pytest.approx(image.gpu_seconds)
    press_fixture.check()
