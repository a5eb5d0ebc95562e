"""What is overdue for erasure is told, and since when; on both databases."""

from datetime import timedelta
from pathlib import Path

import pytest

from common.access.keys import Scope
from common.clerk import backlog, retention
from common.clerk.backlog import Backlog, Overdue
from common.cli.diagnostics import Grade, examine_retention
from common.clock import utcnow
from common.db.engine import Database
from common.errors import StorageError
from common.settings import Settings
from tests.support import factories
from tests.support.aging import DAY, age, make_key
from tests.support.apis import Api, open_api

NEARLY = timedelta(minutes=1)


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path, image_days=3, prompt_days=5)


def load_backlog(api: Api) -> Backlog:
    with api.database.reading() as session:
        return backlog.load_backlog(session, api.services.settings)


def test_nothing_is_overdue_before_its_time(api: Api) -> None:
    job_id, _ = api.print_job()
    age(api.database, job_id, 2 * DAY)
    assert load_backlog(api) == Backlog(Overdue(), Overdue())
    assert load_backlog(api).since is None


def test_images_and_prompts_are_overdue_since_their_term_ended(api: Api) -> None:
    for days in (4, 6):
        job_id, _ = api.print_job()
        age(api.database, job_id, days * DAY)
    found = load_backlog(api)
    assert (found.images.count, found.prompts.count) == (2, 1)
    assert found.images.since == pytest.approx(utcnow() - 3 * DAY, abs=NEARLY)
    assert found.prompts.since == pytest.approx(utcnow() - DAY, abs=NEARLY)
    assert found.since == found.images.since
    assert found.is_late
    retention.erase_images(api.database, api.storage, 3)
    retention.erase_prompts(api.database, 5)
    assert load_backlog(api) == Backlog(Overdue(), Overdue())


def test_what_is_late_by_minutes_is_no_reason_to_warn(api: Api) -> None:
    job_id, _ = api.print_job()
    age(api.database, job_id, 3 * DAY + timedelta(minutes=30))
    found = load_backlog(api)
    assert found.images.count == 1
    assert not found.is_late


def test_the_terms_of_keys_count(api: Api) -> None:
    short, long = make_key(api.database, "ada", image_days=1), make_key(api.database, "ada", image_days=30)
    for key_id in (short, long, None):
        job_id, _ = api.print_job(key_id=key_id)
        age(api.database, job_id, 2 * DAY)
    found = load_backlog(api).images
    assert found.count == 1
    assert found.since == pytest.approx(utcnow() - DAY, abs=NEARLY)


def test_a_large_backlog_is_counted_up_to_a_limit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST_COUNTED", 2)
    for _ in range(3):
        job_id, _ = api.print_job()
        age(api.database, job_id, 4 * DAY)
    found = load_backlog(api)
    assert found.images.count == 2
    assert found.words == "2 images or more"


def test_an_image_whose_file_cannot_be_deleted_stays_in_the_backlog(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, (image,) = api.print_job()
    age(api.database, job_id, 4 * DAY)

    def fail(_key: str) -> None:
        raise StorageError("The file is immutable.")

    with monkeypatch.context() as patch:
        patch.setattr(api.storage, "delete", fail)
        assert retention.erase_images(api.database, api.storage, 3) == 0
    assert load_backlog(api).images.count == 1
    assert list(retention.finish_erasures(api.database, api.storage)) == [image.id]
    assert load_backlog(api).images.count == 0


def test_one_file_that_cannot_be_deleted_does_not_keep_others(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = [api.print_job() for _ in range(3)]
    for job_id, _ in printed:
        age(api.database, job_id, 4 * DAY)
    stuck, delete = printed[0][1][0], api.storage.delete

    def fail(key: str) -> None:
        if key == stuck.storage_key:
            raise StorageError("The file is immutable.")
        delete(key)

    monkeypatch.setattr(api.storage, "delete", fail)
    assert retention.erase_images(api.database, api.storage, 3) == 3
    assert list(api.storage.list_keys("")) == [stuck.storage_key]
    assert list(retention.finish_erasures(api.database, api.storage)) == [stuck.id]
    assert list(retention.finish_erasures(api.database, api.storage, after=stuck.id)) == []


def test_the_overview_tells_operators_of_the_backlog_and_nobody_else(api: Api) -> None:
    job_id, _ = api.print_job()
    age(api.database, job_id, 6 * DAY)
    operator = api.make_key("rita", (Scope.JOBS_READ, Scope.USAGE_ALL))
    told = api.get("/v1/overview", key=operator).json["retention_backlog"]
    assert (told["images"], told["prompts"]) == (1, 1)
    assert told["since"].startswith(f"{utcnow() - 3 * DAY:%Y-%m-%dT}")
    assert api.get("/v1/overview").json["retention_backlog"] is None


def test_doctor_warns_of_a_backlog_that_is_an_hour_old(api: Api) -> None:
    url = api.database.url.render_as_string(hide_password=False)
    settings = Settings(home=api.services.settings.home, image_days=3, database_url=url)
    assert [found.grade for found in examine_retention(settings)] == [Grade.SOUND]
    job_id, _ = api.print_job()
    age(api.database, job_id, 4 * DAY)
    (found,) = examine_retention(settings)
    assert found.grade is Grade.WARNING
    assert found.sentence.startswith("Overdue for erasure: 1 image, the oldest since ")
    assert found.remedy is not None


def test_a_job_that_has_not_ended_is_never_overdue(api: Api) -> None:
    job = factories.submit(api.database)
    factories.age(api.database, job.id, "created_at", 100 * DAY)
    assert load_backlog(api).prompts.count == 0
