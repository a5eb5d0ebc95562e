"""What a press makes of a job that starts from pictures, and what the clerk makes of pictures nobody needs."""

import io
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from PIL import Image
from sqlalchemy import select, update

from common.clerk import orphans
from common.clock import utcnow
from common.errors import SafetyUnavailableError, StorageError
from common.images import assets
from common.images.assets import PictureFile
from common.jobs import lifecycle
from common.jobs.attempts import Spent
from common.states.jobs import JobStatus, Verdict
from common.tables import Asset
from tests.support import factories
from tests.support.press_fixture import PressFixture
from worker.checkers.scripted import ScriptedChecker, build_sequence_rule
from worker.engine.interface import Engine, Inputs, Picture, StepObserver
from worker.press import runner


class Listening:
    """An engine that notes what it was handed."""

    def __init__(self, sound: Engine) -> None:
        self._sound = sound
        self.heard: list[Inputs] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sound, name)

    def generate(self, request: Any, watch: StepObserver, inputs: Inputs, *rest: Any) -> list[Picture]:
        self.heard.append(inputs)
        return self._sound.generate(request, watch, inputs, *rest)


class Counting(ScriptedChecker):
    """A checker that counts what it looks at, under a policy that can be changed."""

    looked = 0
    digest = "1"

    @property
    def policy(self) -> dict[str, Any]:
        return {"checker": "counting", "digest": self.digest, "thresholds": {"block": 0.8}}

    def check(self, picture: Image.Image) -> Any:
        self.looked += 1
        return super().check(picture)


def upload_asset(
    press_fixture: PressFixture, colour: str = "red", owner: str = "ada", size: tuple[int, int] = (96, 64)
) -> UUID:
    return keep_asset(press_fixture, Image.new("RGB", size, colour), owner)


def upload_mask(press_fixture: PressFixture, size: tuple[int, int]) -> UUID:
    mask = Image.new("RGB", size)
    mask.paste("white", (0, 0, size[0] // 2, size[1]))
    return keep_asset(press_fixture, mask)


def keep_asset(press_fixture: PressFixture, picture: Image.Image, owner: str = "ada") -> UUID:
    file, size = io.BytesIO(), picture.size
    picture.save(file, "PNG")
    made = PictureFile(file.getvalue(), *size, {})
    return assets.create_asset(press_fixture.database, press_fixture.storage, owner, made, days=7, most=100).id


def read(press_fixture: PressFixture, asset_id: UUID) -> Asset | None:
    with press_fixture.database.reading() as session:
        return session.get(Asset, asset_id)


def keys(press_fixture: PressFixture) -> Sequence[str]:
    return list(press_fixture.storage.list_keys("owners/ada/assets/"))


def submit(press_fixture: PressFixture, **named: Any) -> UUID:
    return factories.submit(press_fixture.database, request={"strength": 0.5} | named).id


def expire(press_fixture: PressFixture) -> None:
    with press_fixture.database.transaction() as session:
        session.execute(update(Asset).values(expires_at=utcnow() - timedelta(seconds=1)))


def ended(press_fixture: PressFixture, job_id: UUID) -> tuple[JobStatus, str | None]:
    row = factories.read(press_fixture.database, job_id)
    return row.status, row.error_code


def test_the_engine_receives_the_input_images_of_the_job(press_fixture: PressFixture) -> None:
    init, mask = upload_asset(press_fixture), upload_mask(press_fixture, (10, 20))
    job = submit(press_fixture, init_image=init, mask_image=mask)
    engines: list[Listening] = []
    with press_fixture.press(engine=lambda sound: engines.append(Listening(sound)) or engines[0]) as press:
        runner.run_next_job(press)
    assert ended(press_fixture, job) == (JobStatus.SUCCEEDED, None)
    (heard,) = engines[0].heard
    assert heard.init_image is not None
    assert heard.mask_image is not None
    assert (heard.init_image.mode, heard.init_image.size) == ("RGB", (96, 64))
    assert (heard.mask_image.mode, heard.mask_image.size) == ("L", (10, 20))
    press_fixture.check()


def test_an_input_is_checked_once_for_each_policy(press_fixture: PressFixture) -> None:
    init, checker = upload_asset(press_fixture), Counting()
    for _ in range(3):
        submit(press_fixture, init_image=init)
    with press_fixture.press(checker=checker) as press:
        runner.run_next_job(press)
        runner.run_next_job(press)
        assert checker.looked == 1 + 2, "the input once, and each job's picture"
        checker.digest = "2"
        runner.run_next_job(press)
        assert checker.looked == 3 + 2
    row = read(press_fixture, init)
    assert row is not None
    assert (row.verdict, row.safety["digest"]) == (Verdict.PASS, "2")
    press_fixture.check()


def test_a_blocked_input_ends_the_job_before_anything_is_printed(press_fixture: PressFixture) -> None:
    init = upload_asset(press_fixture)
    job = submit(press_fixture, init_image=init)
    with press_fixture.press(checker=ScriptedChecker(build_sequence_rule(Verdict.BLOCK))) as press:
        runner.run_next_job(press)
    assert ended(press_fixture, job) == (JobStatus.FAILED, "input_blocked")
    assert factories.read(press_fixture.database, job).error_retryable is False
    assert [attempt.gpu_seconds for attempt in press_fixture.attempts(job)] == [0.0]
    row = read(press_fixture, init)
    assert row is not None
    assert row.verdict is Verdict.BLOCK
    second = submit(press_fixture, init_image=init)
    with press_fixture.press(checker=ScriptedChecker()) as press:
        runner.run_next_job(press)
    assert ended(press_fixture, second) == (JobStatus.FAILED, "input_blocked"), "by the verdict that was kept"
    press_fixture.check()


def test_a_mask_is_checked_too(press_fixture: PressFixture) -> None:
    job = submit(press_fixture, init_image=upload_asset(press_fixture), mask_image=upload_asset(press_fixture))
    with press_fixture.press(checker=ScriptedChecker(build_sequence_rule(Verdict.PASS, Verdict.BLOCK))) as press:
        runner.run_next_job(press)
    assert ended(press_fixture, job) == (JobStatus.FAILED, "input_blocked")


@pytest.mark.parametrize("colour", ["black", "white"])
def test_a_mask_that_covers_nothing_or_everything_ends_the_job_before_anything_is_printed(
    press_fixture: PressFixture, colour: str
) -> None:
    init, mask = upload_asset(press_fixture), upload_asset(press_fixture, colour)
    job = submit(press_fixture, init_image=init, mask_image=mask)
    with press_fixture.press() as press:
        runner.run_next_job(press)
    assert ended(press_fixture, job) == (JobStatus.FAILED, "invalid_mask")
    row = factories.read(press_fixture.database, job)
    assert "repainted" in str(row.error_message)
    assert row.error_retryable is False
    assert [attempt.gpu_seconds for attempt in press_fixture.attempts(job)] == [0.0]


def test_an_input_without_a_verdict_starts_no_generation(press_fixture: PressFixture) -> None:
    def refuse(_: Image.Image) -> Verdict:
        raise SafetyUnavailableError

    init = upload_asset(press_fixture)
    job = submit(press_fixture, init_image=init)
    with press_fixture.press(checker=ScriptedChecker(refuse)) as press:
        runner.run_next_job(press)
    assert ended(press_fixture, job) == (JobStatus.QUEUED, None)
    row = read(press_fixture, init)
    assert row is not None
    assert row.verdict is None


@pytest.mark.parametrize("fault", ["row", "object", "content", "owner"])
def test_an_input_that_was_changed_fails_the_job(press_fixture: PressFixture, fault: str) -> None:
    init = upload_asset(press_fixture, owner="bob" if fault == "owner" else "ada")
    job = submit(press_fixture, init_image=init)
    for key in keys(press_fixture):
        if fault == "object":
            press_fixture.storage.delete(key)
        elif fault == "content":
            press_fixture.storage.put(key, b"\x89PNG something else", "image/png")
    if fault == "row":
        with press_fixture.database.transaction() as session:
            assets.hide_assets(session, [session.get_one(Asset, init)])
    with press_fixture.press() as press:
        runner.run_next_job(press)
    assert ended(press_fixture, job) == (JobStatus.FAILED, "input_missing")
    press_fixture.check()


def test_a_storage_that_is_briefly_unavailable_is_retried(
    press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(press_fixture, init_image=upload_asset(press_fixture))
    get, faults = press_fixture.storage.get, [StorageError("away")]

    def get_later(key: str) -> bytes:
        if faults:
            raise faults.pop()
        return get(key)

    monkeypatch.setattr(press_fixture.storage, "get", get_later)
    with press_fixture.press() as press:
        runner.run_next_job(press)
        assert ended(press_fixture, job) == (JobStatus.QUEUED, None)
        factories.make_due(press_fixture.database, job)
        runner.run_next_job(press)
    assert ended(press_fixture, job) == (JobStatus.SUCCEEDED, None)
    press_fixture.check()


def test_an_asset_that_expires_while_its_job_waits_is_kept_for_it(press_fixture: PressFixture) -> None:
    init, other = upload_asset(press_fixture), upload_asset(press_fixture)
    job = submit(press_fixture, init_image=init)
    expire(press_fixture)
    assert len(orphans.collect_assets(press_fixture.database, press_fixture.storage)) == 2, "both were looked at"
    assert read(press_fixture, init) is not None
    assert read(press_fixture, other) is None
    with press_fixture.press() as press:
        runner.run_next_job(press)
    assert ended(press_fixture, job) == (JobStatus.SUCCEEDED, None)
    assert len(orphans.collect_assets(press_fixture.database, press_fixture.storage)) == 1
    assert (read(press_fixture, init), keys(press_fixture)) == (None, [])
    press_fixture.check()


def test_assets_that_have_not_expired_are_kept(press_fixture: PressFixture) -> None:
    upload_asset(press_fixture)
    assert len(orphans.collect_assets(press_fixture.database, press_fixture.storage)) == 0
    assert len(keys(press_fixture)) == 1


def test_objects_left_by_uploads_and_deletions_are_collected_later(
    press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = upload_asset(press_fixture)
    with press_fixture.database.transaction() as session:
        assets.hide_assets(session, [session.get_one(Asset, asset)])
    assert len(orphans.collect_assets(press_fixture.database, press_fixture.storage)) == 0
    monkeypatch.setattr(assets, "UNFINISHED_KEPT", timedelta(0))
    assert len(orphans.collect_assets(press_fixture.database, press_fixture.storage)) == 1
    assert (read(press_fixture, asset), keys(press_fixture)) == (None, [])


def test_only_open_jobs_of_its_owner_keep_an_asset(press_fixture: PressFixture) -> None:
    init, mask = upload_asset(press_fixture), upload_asset(press_fixture)
    held = factories.running(press_fixture.database, request={"init_image": init, "strength": 0.5})
    factories.submit(press_fixture.database, "bob", request={"init_image": mask, "strength": 0.5})
    factories.submit(press_fixture.database)
    with press_fixture.database.reading() as session:
        assert assets.list_named_assets(session, "ada") == {init}
    with press_fixture.database.transaction() as session:
        lifecycle.succeed_job(session, held, factories.images(held), Spent())
    with press_fixture.database.reading() as session:
        assert assets.list_named_assets(session, "ada") == set()
        assert session.scalars(select(Asset.id).where(Asset.owner == "ada")).all()
