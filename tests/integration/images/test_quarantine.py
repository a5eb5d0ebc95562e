"""Quarantine: kept images are encrypted; reviewers see them blurred, release them, or confirm the block."""

import hashlib
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from PIL import Image as Pillow
from sqlalchemy import select, update

from common.access.keys import Scope
from common.clerk import quarantine as broom
from common.db.clock import now_sql
from common.db.engine import Database
from common.db.ids import create_id
from common.errors import IllegalTransitionError, StorageError
from common.images import quarantine
from common.images.quarantine_encryption import FilePart, PictureCipher, SealUnreadableError
from common.settings import Settings
from common.states.jobs import ImageStatus, JobStatus, Verdict
from common.storage import open_storage
from common.storage.keys import QUARANTINE_PREFIX, build_quarantine_key
from common.tables import Image, Job, QuarantinedImage, Review, WebhookMessage
from common.tables.quarantine import QuarantineState, ReviewAct
from tests.support import factories
from tests.support.apis import Api, open_api
from tests.support.invariants import MARK
from tests.support.press_fixture import PressFixture
from tests.support.servers.services import Bucket
from worker.checkers.scripted import ScriptedChecker, build_sequence_rule
from worker.press import runner

HOOK = "https://hooks.example/pressroom"


@pytest.fixture
def kept(press_fixture: PressFixture) -> PressFixture:
    """A press that keeps blocked images."""
    return PressFixture(
        press_fixture.database, press_fixture.storage, press_fixture.settings.model_copy(update={"quarantine": "keep"})
    )


@pytest.fixture
def api(kept: PressFixture, tmp_path: Path) -> Api:
    return open_api(kept.database, tmp_path / "home")


@pytest.fixture
def reviewer(api: Api) -> str:
    return api.make_key("rita", (Scope.SAFETY_REVIEW,))


@pytest.fixture
def hook(api: Api) -> str:
    answer = api.post("/v1/webhooks", json={"url": HOOK})
    assert answer.status_code == 201
    return answer.json["id"]


def print_blocked(press_fixture: PressFixture, *verdicts: Verdict, num_images: int = 1) -> Job:
    job = factories.submit(press_fixture.database, request={"num_images": num_images})
    with press_fixture.press(checker=ScriptedChecker(build_sequence_rule(*(verdicts or (Verdict.BLOCK,))))) as press:
        runner.run_next_job(press)
    return factories.read(press_fixture.database, job.id)


def acts(database: Database) -> list[tuple[ReviewAct, UUID | None, str]]:
    with database.reading() as session:
        return [(row.act, row.key_id, row.note) for row in session.scalars(select(Review).order_by(Review.id))]


def used(api: Api) -> dict[str, Any]:
    usage = api.get("/v1/usage").json
    return {name: value for name, value in usage.items() if name not in ("from", "to")}


def test_quarantined_images_are_encrypted_and_have_no_link(kept: PressFixture) -> None:
    job = print_blocked(kept)
    (image,) = kept.images(job.id)
    assert (job.status, job.error_code) == (JobStatus.FAILED, "content_blocked")
    assert (image.status, image.amount, image.storage_key) == (ImageStatus.QUARANTINED, 0, None)
    keys = sorted(kept.storage.list_keys(""))
    assert keys == sorted(build_quarantine_key(image.id, part) for part in FilePart)
    for key in keys:
        data = kept.storage.get(key)
        assert MARK not in data
        assert b"PNG" not in data[:100]
        with pytest.raises(StorageError, match="quarantine"):
            kept.storage.sign(key, content_type="image/png", filename="x.png", seconds=60)
    sealed = kept.storage.get(build_quarantine_key(image.id, FilePart.FULL))
    full = PictureCipher(kept.settings.read_secret()).open(image.id, FilePart.FULL, sealed)
    assert hashlib.sha256(full).hexdigest() == image.sha256
    kept.check()


def test_by_default_blocked_images_are_not_kept(press_fixture: PressFixture) -> None:
    job = print_blocked(press_fixture)
    assert press_fixture.images(job.id)[0].status is ImageStatus.BLOCKED
    assert list(press_fixture.storage.list_keys("")) == []


def test_an_encrypted_file_opens_only_for_its_image_and_its_installation() -> None:
    cipher, image_id = PictureCipher(b"x" * 32), create_id()
    sealed = cipher.seal(image_id, FilePart.FULL, b"picture")
    assert cipher.open(image_id, FilePart.FULL, sealed) == b"picture"
    assert cipher.seal(image_id, FilePart.FULL, b"picture") != sealed, "never the same nonce"
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for attempt in (
        lambda: cipher.open(create_id(), FilePart.FULL, sealed),
        lambda: cipher.open(image_id, FilePart.THUMBNAIL, sealed),
        lambda: PictureCipher(b"y" * 32).open(image_id, FilePart.FULL, sealed),
        lambda: cipher.open(image_id, FilePart.FULL, flipped),
        lambda: cipher.open(image_id, FilePart.FULL, b""),
    ):
        with pytest.raises(SealUnreadableError):
            attempt()


def test_only_a_reviewer_sees_the_waiting_images(kept: PressFixture, api: Api, reviewer: str) -> None:
    jobs = [print_blocked(kept) for _ in range(3)]
    page = api.get("/v1/quarantine?limit=2&state=waiting", key=reviewer).json
    rest = api.get(f"/v1/quarantine?limit=2&cursor={page['next']}", key=reviewer).json
    shown = page["data"] + rest["data"]
    assert [each["job_id"] for each in shown] == [str(job.id) for job in reversed(jobs)]
    assert {(each["owner"], each["state"], each["safety"]["verdict"]) for each in shown} == {
        ("ada", "waiting", "block")
    }
    assert not rest["has_more"]
    for path in ("", f"/{shown[0]['id']}", f"/{shown[0]['id']}/preview"):
        assert api.get(f"/v1/quarantine{path}").status_code == 403
    for act in ("release", "confirm"):
        assert api.post(f"/v1/quarantine/{shown[0]['id']}/{act}", json={}).status_code == 403
        assert api.post(f"/v1/quarantine/{create_id()}/{act}", json={}, key=reviewer).status_code == 404
    assert api.get("/v1/quarantine?cursor=nonsense", key=reviewer).json["code"] == "invalid_cursor"
    assert api.get(f"/v1/images/{shown[0]['id']}").json["url"] is None
    assert api.get(f"/v1/images/{shown[0]['id']}/content").status_code == 404


def test_a_viewed_image_is_reduced_marked_and_recorded(kept: PressFixture, api: Api, reviewer: str) -> None:
    (image,) = kept.images(print_blocked(kept).id)
    answer = api.get(f"/v1/quarantine/{image.id}/preview", key=reviewer)
    assert (answer.status_code, answer.content_type) == (200, "image/webp")
    assert answer.headers["Cache-Control"] == "no-store"
    assert MARK in answer.data
    with Pillow.open(io.BytesIO(answer.data)) as preview:
        assert preview.size == (64, 64)
        colours = len(preview.convert("RGB").getcolors(10**6) or [])
    ((act, key_id, _),) = acts(api.database)
    assert act is ReviewAct.PREVIEWED
    assert key_id is not None
    assert colours == 1
    record = api.get(f"/v1/quarantine/{image.id}", key=reviewer).json
    assert [review["act"] for review in record["reviews"]] == ["previewed"]


def test_a_released_image_is_delivered_as_printed_and_free_of_charge(
    kept: PressFixture, api: Api, reviewer: str, hook: str
) -> None:
    job = print_blocked(kept, Verdict.BLOCK, Verdict.PASS, num_images=2)
    image = kept.images(job.id)[0]
    before = used(api)
    answer = api.post(f"/v1/quarantine/{image.id}/release", json={"note": "a donkey"}, key=reviewer)
    assert answer.status_code == 200, answer.text
    assert (answer.json["state"], answer.json["image_status"]) == ("released", "delivered")
    shown = api.get(f"/v1/images/{image.id}").json
    assert (shown["status"], shown["safety"]["verdict"], shown["cost"]["amount"]) == ("delivered", "block", "0")
    assert shown["safety"]["released_at"] is not None
    file = api.get(f"/v1/images/{image.id}/content").data
    assert hashlib.sha256(file).hexdigest() == image.sha256
    assert api.get(f"/v1/images/{image.id}/content?variant=thumbnail").status_code == 200
    after = factories.read(api.database, job.id)
    assert (after.status, after.finished_at, after.error_code) == (job.status, job.finished_at, job.error_code)
    assert used(api) == before
    assert [(act, note) for act, _, note in acts(api.database)] == [(ReviewAct.RELEASED, "a donkey")]
    assert list(kept.storage.list_keys(QUARANTINE_PREFIX)) == []
    broom.collect_quarantine(kept.database, kept.storage)
    kept.check()


def test_a_release_is_reported_to_webhooks_whether_its_job_failed_or_not(
    kept: PressFixture, api: Api, reviewer: str, hook: str
) -> None:
    (image,) = kept.images(print_blocked(kept).id)
    api.post(f"/v1/quarantine/{image.id}/release", json={}, key=reviewer)
    with api.database.reading() as session:
        messages = session.scalars(select(WebhookMessage).order_by(WebhookMessage.id)).all()
    assert [message.event for message in messages] == ["job.failed", "image.released"]
    body = json.loads(messages[1].body)
    assert body["data"]["images"] == [{"id": str(image.id), "status": "delivered", "amount": "0"}]
    assert (body["data"]["status"], body["data"]["cost"]["gpu_seconds"]) == ("failed", 0)
    kept.check()


def test_a_confirmed_image_stays_blocked_and_is_deleted(kept: PressFixture, api: Api, reviewer: str) -> None:
    (image,) = kept.images(print_blocked(kept).id)
    answer = api.post(f"/v1/quarantine/{image.id}/confirm", json={}, key=reviewer)
    assert (answer.json["state"], answer.json["image_status"]) == ("confirmed", "blocked")
    assert list(kept.storage.list_keys("")) == []
    for act in ("confirm", "release"):
        again = api.post(f"/v1/quarantine/{image.id}/{act}", json={}, key=reviewer)
        assert (again.status_code, again.json["code"]) == (409, "invalid_state")
    assert api.get(f"/v1/quarantine/{image.id}/preview", key=reviewer).status_code == 409
    assert [act for act, _, _ in acts(api.database)] == [ReviewAct.CONFIRMED]


def test_of_two_simultaneous_decisions_the_later_is_refused(kept: PressFixture) -> None:
    (image,) = kept.images(print_blocked(kept).id)
    with kept.database.transaction() as session:
        quarantine.confirm_block(session, image, create_id(), "")
    with pytest.raises(IllegalTransitionError), kept.database.transaction() as session:
        quarantine.release_image(session, image, create_id(), "")
    assert len(acts(kept.database)) == 1


def test_an_image_without_a_decision_expires_and_its_files_are_collected(kept: PressFixture) -> None:
    (image,) = kept.images(print_blocked(kept).id)
    assert broom.expire_quarantine(kept.database) == 0
    with kept.database.transaction() as session:
        session.execute(update(QuarantinedImage).values(expires_at=now_sql(session, -timedelta(seconds=1))))
    assert broom.expire_quarantine(kept.database) == 1
    assert len(broom.collect_quarantine(kept.database, kept.storage)) == 1
    assert len(broom.collect_quarantine(kept.database, kept.storage)) == 0
    assert list(kept.storage.list_keys("")) == []
    (after,) = kept.images(image.job_id)
    assert after.status is ImageStatus.BLOCKED
    assert acts(kept.database) == [(ReviewAct.EXPIRED, None, "")]
    kept.check()


def test_the_files_of_an_image_that_its_owner_erased_are_collected_too(kept: PressFixture) -> None:
    (image,) = kept.images(print_blocked(kept).id)
    with kept.database.transaction() as session:
        session.execute(update(Image).values(status=ImageStatus.ERASED))
    assert len(broom.collect_quarantine(kept.database, kept.storage)) == 1
    assert list(kept.storage.list_keys("")) == []
    with kept.database.reading() as session:
        found = quarantine.find_quarantined(session, image.id)
    assert found is not None
    with pytest.raises(IllegalTransitionError, match="erased"):
        quarantine.require_waiting(*found)
    assert found[0].state is QuarantineState.WAITING


def test_encrypted_files_without_a_row_are_collected_once_they_are_old(kept: PressFixture) -> None:
    old, young = UUID(int=1 << 80), create_id()
    for image_id in (old, young):
        kept.storage.put(build_quarantine_key(image_id, FilePart.FULL), b"noise", "application/octet-stream")
    strays = broom.StrayCollection(kept.database, kept.storage, batch=1)
    assert [strays.run() for _ in range(2)] == [1, 1], "one after the other"
    assert list(kept.storage.list_keys("")) == [build_quarantine_key(young, FilePart.FULL)]
    assert strays.run() == 1, "over again"


def test_no_link_reaches_quarantine_on_s3_either(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    storage = open_storage(Settings.from_environ())
    with pytest.raises(StorageError, match="quarantine"):
        storage.sign(
            build_quarantine_key(create_id(), FilePart.FULL), content_type="image/png", filename="x", seconds=60
        )


@pytest.mark.parametrize(("verb", "act"), [("release", "image.released"), ("confirm", "image.block_confirmed")])
def test_a_decision_is_in_the_audit_trail_of_the_reviewers_owner(
    api: Api, kept: PressFixture, verb: str, act: str
) -> None:
    (image,) = kept.images(print_blocked(kept).id)
    rita = api.make_key("rita", (Scope.SAFETY_REVIEW, Scope.AUDIT_READ))
    assert api.post(f"/v1/quarantine/{image.id}/{verb}", json={"note": "rude"}, key=rita).status_code == 200
    (event,) = api.get(f"/v1/audit?object={image.id}", key=rita).json["data"]
    assert (event["act"], event["owner"], event["after"]["owner"]) == (act, "rita", image.owner)
    assert "rude" not in str(event)
    ada = api.make_key("ada", (Scope.AUDIT_READ,))
    assert api.get(f"/v1/audit?object={image.id}", key=ada).json["data"] == []
