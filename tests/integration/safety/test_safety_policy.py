"""What becomes of pictures by the policy that holds for their job, and what the database itself refuses."""

import io
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from PIL import Image as Pillow, ImageChops, ImageOps, ImageStat
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, IntegrityError

from common.access import keys
from common.db.engine import Database
from common.db.ids import create_id
from common.errors import SafetyUnavailableError, SettingsError, StandInWarning
from common.images import assets
from common.safety.policy import Policy, PolicyOverrides, Recourse, ReviewAction
from common.settings import Settings
from common.states.jobs import ImageStatus, JobStatus, Outcome, SafetyMode, Verdict
from common.tables import Image, Job
from tests.support import factories
from tests.support.invariants import MARK
from tests.support.press_fixture import PressFixture
from worker.checkers.scripted import ScriptedChecker, build_sequence_rule
from worker.checkers.wrappers import NoChecker
from worker.engine.painted import paint_picture
from worker.pictures.safety_verdict import SafetyPolicyEngine
from worker.press import runner

STRICT = Policy(review_above=0.2, block_above=0.8)


def policy(**changes: Any) -> dict[str, Any]:
    return STRICT.model_copy(update=changes).model_dump(mode="json")


def order(
    press_fixture: PressFixture,
    *verdicts: Verdict,
    num_images: int = 1,
    fallback_image: UUID | None = None,
    **changes: Any,
) -> Job:
    """Have a job printed whose pictures get *verdicts*, by a policy with *changes*."""
    request = {"num_images": num_images, "safety": policy(**changes)}
    if fallback_image is not None:
        request["fallback_image"] = str(fallback_image)
    job = factories.submit(press_fixture.database, "ada", request=request)
    with press_fixture.press(checker=ScriptedChecker(build_sequence_rule(*verdicts))) as press:
        for _ in range(5):
            runner.run_next_job(press)
    return factories.read(press_fixture.database, job.id)


def with_settings(press_fixture: PressFixture, **changes: Any) -> PressFixture:
    return PressFixture(
        press_fixture.database, press_fixture.storage, press_fixture.settings.model_copy(update=changes)
    )


def read_picture(press_fixture: PressFixture, image: Image) -> Pillow.Image:
    assert image.storage_key is not None
    with Pillow.open(io.BytesIO(press_fixture.storage.get(image.storage_key))) as file:
        return file.convert("RGB")


def measure_detail(picture: Pillow.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(picture, ImageChops.offset(picture, 1, 0))).mean)


def write(database: Database, statement: str) -> None:
    with database.transaction() as session:
        factories.lift_guards(session)
        session.execute(text(statement))


def add(database: Database, rows: list[Image]) -> None:
    with database.transaction() as session:
        factories.lift_guards(session)
        session.add_all(rows)


def test_an_image_in_the_review_band_is_flagged_and_delivered_by_default(
    press_fixture: PressFixture,
) -> None:
    job = order(press_fixture, Verdict.REVIEW)
    (image,) = press_fixture.images(job.id)
    assert (image.status, image.verdict) == (ImageStatus.DELIVERED, Verdict.REVIEW)
    assert image.safety["review_action"] == "flag"
    press_fixture.check()


def test_an_image_in_the_review_band_can_be_blurred_before_it_is_stored(
    press_fixture: PressFixture,
) -> None:
    job = order(press_fixture, Verdict.REVIEW, review_action=ReviewAction.BLUR)
    (image,) = press_fixture.images(job.id)
    assert (job.status, image.status, image.verdict) == (JobStatus.SUCCEEDED, ImageStatus.BLURRED, Verdict.REVIEW)
    assert image.amount > 0
    seen, painted = read_picture(press_fixture, image), paint_picture("a lighthouse at dusk", image.seed, 64, 64)
    assert seen.size == painted.size
    assert measure_detail(seen) < 0.5 * measure_detail(painted), "no detail is left"
    press_fixture.check()


@pytest.mark.parametrize("changes", [{"review_action": ReviewAction.BLOCK}, {"block_above": 0.4, "review_above": 0.1}])
def test_a_job_may_ask_to_block_images_that_would_be_flagged(
    press_fixture: PressFixture, changes: dict[str, Any]
) -> None:
    job = order(press_fixture, Verdict.REVIEW, **changes)
    (image,) = press_fixture.images(job.id)
    assert (job.status, job.error_code) == (JobStatus.FAILED, "content_blocked")
    assert (image.status, image.verdict, image.amount) == (ImageStatus.BLOCKED, Verdict.BLOCK, 0)
    assert list(press_fixture.storage.list_keys("")) == []
    press_fixture.check()


def test_the_row_of_a_job_cannot_weaken_the_operators_policy(
    press_fixture: PressFixture,
) -> None:
    job = order(with_settings(press_fixture, safety_block_above=0.4), Verdict.REVIEW, block_above=1.0, review_above=1.0)
    assert job.error_code == "content_blocked"


def test_a_job_without_its_own_policy_uses_that_of_its_key(press_fixture: PressFixture) -> None:
    with press_fixture.database.transaction() as session:
        keys.create_api_key(session, "ada", safety=PolicyOverrides(block_above=0.4, on_block=Recourse.REROLL))
        (key,) = keys.list_api_keys(session)
    job = factories.submit(press_fixture.database, key_id=key.id)
    with press_fixture.press(checker=ScriptedChecker(build_sequence_rule(Verdict.REVIEW))) as press:
        runner.run_next_job(press)
    assert factories.read(press_fixture.database, job.id).error_code == "content_blocked"
    assert press_fixture.images(job.id)[0].safety["thresholds"] == {"review": 0.2, "block": 0.4}


def test_an_image_names_its_policy_and_equal_policies_have_one_name(
    press_fixture: PressFixture,
) -> None:
    one, same, other = (order(press_fixture, block_above=bound) for bound in (0.7, 0.7, 0.6))
    versions = [press_fixture.images(job.id)[0].safety["policy"] for job in (one, same, other)]
    assert versions[0] == versions[1] != versions[2]
    (image,) = press_fixture.images(other.id)
    assert image.safety["thresholds"] == {"review": 0.2, "block": 0.6}
    assert image.safety_mode is SafetyMode.ON


def test_a_blocked_job_can_be_rerolled_with_new_seeds_and_the_first_roll_is_waste(
    press_fixture: PressFixture,
) -> None:
    blocked = [Verdict.BLOCK] * 4
    job = order(press_fixture, *blocked, num_images=2, on_block=Recourse.REROLL)
    assert (job.status, job.attempt, job.strikes) == (JobStatus.SUCCEEDED, 3, 1)
    assert [image.seed for image in press_fixture.images(job.id)] == [11, 12], "7 and 8, then 9 and 10, then these"
    outcomes = [attempt.outcome for attempt in press_fixture.attempts(job.id)]
    assert outcomes == [Outcome.BLOCKED, Outcome.BLOCKED, Outcome.SUCCEEDED]
    assert all(attempt.gpu_seconds > 0 for attempt in press_fixture.attempts(job.id))
    press_fixture.check()


def test_rerolls_are_bounded(press_fixture: PressFixture) -> None:
    job = order(press_fixture, *[Verdict.BLOCK] * 10, on_block=Recourse.REROLL)
    assert (job.status, job.error_code, job.attempt) == (JobStatus.FAILED, "content_blocked", 3)
    press_fixture.check()


def test_a_job_with_a_passed_image_is_not_rerolled(press_fixture: PressFixture) -> None:
    job = order(press_fixture, Verdict.BLOCK, Verdict.PASS, num_images=2, on_block=Recourse.REROLL)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 1)
    assert [image.status for image in press_fixture.images(job.id)] == [ImageStatus.BLOCKED, ImageStatus.DELIVERED]


@pytest.fixture
def fallback(tmp_path: Path) -> Path:
    path = tmp_path / "fallback.png"
    paint_picture("somewhere over the rainbow", 3, 100, 60).save(path)
    return path


def test_the_operators_fallback_replaces_a_blocked_image_marked_and_free(
    press_fixture: PressFixture, fallback: Path
) -> None:
    press_fixture = with_settings(press_fixture, fallback_image=fallback)
    # The first verdict is on the fallback picture itself.
    job = order(press_fixture, Verdict.PASS, Verdict.BLOCK, on_block=Recourse.FALLBACK)
    (image,) = press_fixture.images(job.id)
    assert (job.status, image.status, image.verdict) == (JobStatus.SUCCEEDED, ImageStatus.DELIVERED, Verdict.PASS)
    assert (image.amount, image.gpu_seconds) == (Decimal(0), 0.0)
    assert image.safety["fallback_for"]["verdict"] == "block"
    assert read_picture(press_fixture, image).size == (64, 64)


def test_the_operators_fallback_is_blurred_where_a_reviewed_image_would_be(
    press_fixture: PressFixture, fallback: Path
) -> None:
    press_fixture = with_settings(press_fixture, fallback_image=fallback)
    changes = {"on_block": Recourse.FALLBACK, "review_action": ReviewAction.BLUR}
    job = order(press_fixture, Verdict.REVIEW, Verdict.BLOCK, **changes)
    (image,) = press_fixture.images(job.id)
    assert (image.status, image.verdict) == (ImageStatus.BLURRED, Verdict.REVIEW)
    with Pillow.open(fallback) as file:
        shown = ImageOps.fit(file.convert("RGB"), (64, 64), Pillow.Resampling.LANCZOS)
    assert measure_detail(read_picture(press_fixture, image)) < 0.5 * measure_detail(shown)


def upload_fallback(press_fixture: PressFixture, picture: Pillow.Image) -> UUID:
    file = io.BytesIO()
    picture.save(file, "PNG")
    uploaded = assets.PictureFile(file.getvalue(), *picture.size, {})
    return assets.create_asset(press_fixture.database, press_fixture.storage, "ada", uploaded, days=1, most=9).id


def test_a_jobs_own_fallback_replaces_a_blocked_image_marked_and_free(press_fixture: PressFixture) -> None:
    asset_id = upload_fallback(press_fixture, paint_picture("somewhere over the rainbow", 3, 100, 60))
    job = order(press_fixture, Verdict.BLOCK, Verdict.PASS, fallback_image=asset_id)
    (image,) = press_fixture.images(job.id)
    assert (job.status, image.status, image.verdict) == (JobStatus.SUCCEEDED, ImageStatus.DELIVERED, Verdict.PASS)
    assert (image.amount, image.is_fallback) == (Decimal(0), True)
    assert image.safety["fallback_for"]["verdict"] == "block"
    assert read_picture(press_fixture, image).size == (64, 64)
    assert MARK in press_fixture.storage.get(image.storage_key)


def test_a_jobs_own_fallback_that_is_blocked_too_is_not_published(press_fixture: PressFixture) -> None:
    asset_id = upload_fallback(press_fixture, paint_picture("somewhere over the rainbow", 3, 100, 60))
    job = order(press_fixture, Verdict.BLOCK, Verdict.BLOCK, fallback_image=asset_id)
    assert (job.status, job.error_code) == (JobStatus.FAILED, "content_blocked")
    assert [image.status for image in press_fixture.images(job.id)] == [ImageStatus.BLOCKED]


def test_a_jobs_own_fallback_that_is_gone_leaves_the_image_blocked(press_fixture: PressFixture) -> None:
    job = order(press_fixture, Verdict.BLOCK, fallback_image=create_id())
    assert (job.status, job.error_code) == (JobStatus.FAILED, "content_blocked")


def test_a_press_whose_fallback_image_is_blocked_takes_no_work(press_fixture: PressFixture, fallback: Path) -> None:
    settings = press_fixture.settings.model_copy(update={"fallback_image": fallback})
    judge = SafetyPolicyEngine(ScriptedChecker(build_sequence_rule(Verdict.BLOCK)), settings)
    with pytest.warns(StandInWarning), pytest.raises(SafetyUnavailableError, match="fallback image is blocked"):
        judge.load()


def test_switching_safety_off_takes_two_settings() -> None:
    with pytest.raises(SettingsError, match="SAFETY_OFF_ACKNOWLEDGED"):
        Settings.from_environ({"PRESSROOM_CHECKER": "none"})
    both = {"PRESSROOM_CHECKER": "none", "PRESSROOM_SAFETY_OFF_ACKNOWLEDGED": "true"}
    assert Policy.of(Settings.from_environ(both)).mode is SafetyMode.OFF
    with pytest.raises(SettingsError, match="MODELS=painted"):
        Settings.from_environ({"PRESSROOM_CHECKER": "scripted"})


def test_unchecked_images_are_marked_as_unchecked(press_fixture: PressFixture) -> None:
    press_fixture = with_settings(press_fixture, checker=("none",), safety_off_acknowledged=True)
    job = factories.submit(press_fixture.database)
    with press_fixture.press(checker=NoChecker()) as press:
        runner.run_next_job(press)
    (image,) = press_fixture.images(job.id)
    assert (image.status, image.verdict) == (ImageStatus.DELIVERED, Verdict.UNCHECKED)
    assert (image.safety_mode, image.safety["checker"]) == (SafetyMode.OFF, "none")


def test_a_press_without_its_configured_checker_publishes_nothing(
    press_fixture: PressFixture,
) -> None:
    job = factories.submit(press_fixture.database)
    with press_fixture.press(checker=NoChecker()) as press:
        runner.run_next_job(press)
    assert press_fixture.attempts(job.id)[0].error_code == "safety_unavailable"
    assert list(press_fixture.storage.list_keys("")) == []


@pytest.mark.parametrize(
    "change",
    [
        "status = 'delivered', storage_key = 'x'",
        "status = 'blurred', storage_key = 'x'",
        "status = 'quarantined', storage_key = 'x'",
    ],
)
def test_the_database_refuses_a_readable_blocked_image(database: Database, change: str) -> None:
    held = factories.running(database)
    rows = factories.images(held, ImageStatus.BLOCKED)
    add(database, rows)
    with pytest.raises(IntegrityError):
        write(database, f"UPDATE images SET {change}")


def test_the_database_refuses_to_deliver_unchecked_images_without_their_mark(database: Database) -> None:
    held = factories.running(database)
    rows = factories.images(held)
    for row in rows:
        row.verdict = Verdict.UNCHECKED
    with pytest.raises(IntegrityError):
        add(database, rows)


def test_postgresql_enforces_the_transitions_of_images_too(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    held = factories.running(database)
    add(database, factories.images(held, ImageStatus.BLOCKED))
    for change in ("status = 'quarantined'", "verdict = 'pass'", "safety_mode = 'off'"):
        with pytest.raises(DatabaseError), database.transaction() as session:
            session.execute(text(f"UPDATE images SET {change}"))
    database.close()
