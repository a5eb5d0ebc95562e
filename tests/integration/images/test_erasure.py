"""Images and words go when their time is over or their owner says so; rows, costs and digests stay; both databases."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from common.access.keys import Scope
from common.clerk import retention
from common.clock import utcnow
from common.db.engine import Database
from common.errors import StorageError
from common.jobs import lifecycle
from common.jobs.attempts import Spent
from common.states.jobs import ImageStatus
from common.tables import Image, Job, Likeness, WebhookMessage
from common.usage import owner_usage
from tests.support import factories
from tests.support.aging import DAY, age, make_key, settle_messages
from tests.support.apis import Api, open_api
from tests.support.press_fixture import PressFixture
from tests.support.webhook_fixture import WebhookFixture
from worker.press import runner


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path, models=("painted",))


def print_job(api: Api, owner: str = "ada", **changes: Any) -> tuple[Job, Image]:
    """Have a press print one image; return its job and its row."""
    job = factories.submit(api.database, owner, **changes)
    press_fixture = PressFixture(api.database, api.storage, api.services.settings)
    with press_fixture.press() as press:
        runner.run_next_job(press)
    (image,) = press_fixture.images(job.id)
    return factories.read(api.database, job.id), image


def read(api: Api, image_id: UUID) -> Image:
    with api.database.reading() as session:
        return session.get_one(Image, image_id)


def remembered(api: Api) -> set[UUID]:
    with api.database.reading() as session:
        return set(session.scalars(select(Likeness.image_id)))


def erase_old_images(api: Api, days: int | None = None) -> int:
    return retention.erase_images(api.database, api.storage, days)


def finish_erasures(api: Api) -> int:
    return len(retention.finish_erasures(api.database, api.storage))


def test_an_image_is_erased_on_request_and_its_cost_stays(api: Api) -> None:
    job, image = print_job(api)
    url = f"/v1/images/{image.id}"
    link = api.get(url).json["url"]
    for _ in range(2):
        answer = api.call("DELETE", url)
        assert (answer.status_code, answer.data) == (204, b"")
    assert list(api.storage.list_keys("")) == [], "the image and its thumbnail are gone"
    shown = api.get(url).json
    assert (shown["status"], shown["url"], shown["thumbnail_url"]) == ("erased", None, None)
    assert shown["sha256"] == image.sha256
    assert shown["cost"]["gpu_seconds"] == image.gpu_seconds
    assert api.get(f"/v1/jobs/{job.id}").json["cost"] == shown["cost"]
    assert api.get(f"{url}/content").json["code"] == "image_not_readable"
    assert api.get(link.removeprefix(api.services.settings.base_url), key=None).json["code"] == "object_missing"
    assert remembered(api) == set()
    with api.database.reading() as session:
        tally = owner_usage.load_usage(session, "ada", utcnow() - DAY, utcnow() + DAY)
        assert tally.delivered == pytest.approx(image.gpu_seconds)


def test_only_its_owner_can_erase_an_image_and_only_with_the_scope(api: Api) -> None:
    _, image = print_job(api)
    url = f"/v1/images/{image.id}"
    assert api.call("DELETE", url, key=api.make_key("grace")).status_code == 404
    reader = api.make_key("ada", (Scope.JOBS_READ,))
    assert api.call("DELETE", url, key=reader).status_code == 403
    assert read(api, image.id).status is ImageStatus.DELIVERED


def test_an_image_without_stored_files_stays_unchanged(api: Api) -> None:
    _, (image,) = api.print_job(status=ImageStatus.BLOCKED)
    assert api.call("DELETE", f"/v1/images/{image.id}").status_code == 204
    assert read(api, image.id).status is ImageStatus.BLOCKED


def test_an_image_whose_objects_could_not_be_deleted_is_hidden_and_the_clerk_finishes(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, image = print_job(api)

    def fail(_key: str) -> None:
        raise StorageError

    with monkeypatch.context() as patch:
        patch.setattr(api.storage, "delete", fail)
        assert api.call("DELETE", f"/v1/images/{image.id}").status_code == 204
    assert api.get(f"/v1/images/{image.id}").json["status"] == "erased"
    assert len(list(api.storage.list_keys(""))) == 2
    assert finish_erasures(api) == 1
    assert list(api.storage.list_keys("")) == []
    assert finish_erasures(api) == 0


def test_images_are_kept_as_long_as_their_key_or_else_the_settings_say(api: Api) -> None:
    short, long = make_key(api.database, "ada", image_days=2), make_key(api.database, "grace", image_days=30)
    printed = [
        print_job(api, owner, key_id=key_id) for owner, key_id in (("ada", short), ("grace", long), ("ada", None))
    ]
    for job, _ in printed:
        age(api.database, job.id, 10 * DAY)
    assert erase_old_images(api) == 1
    assert [read(api, image.id).status for _, image in printed] == ["erased", "delivered", "delivered"]
    assert erase_old_images(api, days=7) == 1
    assert [read(api, image.id).status for _, image in printed] == ["erased", "delivered", "erased"]
    assert remembered(api) == {printed[1][1].id}
    assert {key.split("/")[1] for key in api.storage.list_keys("")} == {"grace"}


def test_a_round_erases_a_bounded_number_the_oldest_first(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "IMAGES", 2)
    printed = [print_job(api) for _ in range(3)]
    for days, (job, _) in enumerate(printed, start=5):
        age(api.database, job.id, days * DAY)
    assert erase_old_images(api, days=1) == 2
    assert [read(api, image.id).status for _, image in printed] == ["delivered", "erased", "erased"]
    assert erase_old_images(api, days=1) == 1


def test_a_job_whose_prompt_was_erased_after_its_retention_cannot_be_repeated(api: Api) -> None:
    key_id = make_key(api.database, "ada", prompt_days=3)
    fields = {"prompt": "Ada Lovelace at her desk", "negative_prompt": "hats"}
    job, _ = print_job(api, key_id=key_id, request=fields, annotations={"name": "Ada"})
    fresh, _ = print_job(api, key_id=key_id)
    age(api.database, job.id, 4 * DAY)
    assert retention.erase_prompts(api.database, None) == 1
    assert retention.erase_prompts(api.database, None) == 0
    shown = api.get(f"/v1/jobs/{job.id}").json
    assert (shown["request"]["prompt"], shown["request"]["negative_prompt"], shown["metadata"]) == ("", "", {})
    assert shown["prompt_erased_at"] is not None
    assert shown["request"]["seed"] == job.request["seed"]
    assert shown["images"][0]["status"] == "delivered", "the image has a term of its own"
    answer = api.post(f"/v1/jobs/{job.id}/retry")
    assert (answer.status_code, answer.json["code"]) == (409, "prompt_erased")
    assert api.get(f"/v1/jobs/{fresh.id}").json["prompt_erased_at"] is None
    assert api.post(f"/v1/jobs/{fresh.id}/retry").status_code == 202


def test_the_prompt_of_an_unfinished_job_is_kept(api: Api) -> None:
    job = factories.submit(api.database)
    factories.age(api.database, job.id, "created_at", 100 * DAY)
    assert retention.erase_prompts(api.database, 1) == 0
    assert factories.read(api.database, job.id).request["prompt"] == "a lighthouse at dusk"


def test_webhook_messages_that_repeat_the_metadata_are_erased_too(api: Api) -> None:
    webhook_fixture = WebhookFixture(api.database)
    webhook_fixture.subscribe("https://example.com/hook")
    held = factories.running(api.database, annotations={"name": "Ada"})
    with api.database.transaction() as session:
        lifecycle.succeed_job(session, held, factories.images(held), Spent(gpu_seconds=1.0))
    age(api.database, held.job_id, 4 * DAY)
    settle_messages(api.database)
    retention.erase_prompts(api.database, 3)
    with api.database.reading() as session:
        assert session.scalars(select(WebhookMessage.body)).all() == []
