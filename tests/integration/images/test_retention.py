"""How long things are kept is said by the key they came by, and else by the settings; on both databases."""

from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from common.access import keys
from common.access.keys import RetentionDays, Scope
from common.clerk import orphans, retention
from common.cli import pressroom
from common.db.engine import Database
from common.errors import GenerationError
from common.jobs import lifecycle
from common.jobs.attempts import Spent
from common.storage.keys import build_attempt_prefix
from common.tables import WebhookMessage
from tests.support import factories
from tests.support.aging import DAY, age, make_key, settle_messages
from tests.support.apis import Api, open_api
from tests.support.picture_files import PNG, upload_asset
from tests.support.webhook_fixture import WebhookFixture


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path)


def test_messages_are_kept_as_long_as_their_key_or_else_the_settings_say(api: Api) -> None:
    WebhookFixture(api.database).subscribe("https://example.com/hook")
    short = make_key(api.database, "ada", webhook_days=5)
    held = [factories.running(api.database, key_id=key_id) for key_id in (short, None)]
    for each in held:
        with api.database.transaction() as session:
            lifecycle.succeed_job(session, each, factories.images(each), Spent(gpu_seconds=1.0))
        age(api.database, each.job_id, 10 * DAY)
    settle_messages(api.database)
    with api.database.reading() as session:
        before = set(session.scalars(select(WebhookMessage.job_id)))
    assert before == {each.job_id for each in held}
    assert retention.delete_messages(api.database, 30) > 0
    with api.database.reading() as session:
        assert set(session.scalars(select(WebhookMessage.job_id))) == {held[1].job_id}
    assert retention.delete_messages(api.database, 7) > 0
    with api.database.reading() as session:
        assert session.scalars(select(WebhookMessage.id)).all() == []


def test_a_key_created_by_a_key_has_no_longer_retention(api: Api) -> None:
    with api.database.transaction() as session:
        own = keys.create_api_key(
            session, "ada", scopes=[Scope.KEYS_ADMIN, Scope.JOBS_WRITE], kept=RetentionDays(image_days=2)
        )
    made = api.post("/v1/keys", key=own, json={"name": "child"})
    assert made.status_code == 201
    with api.database.reading() as session:
        row = keys.find_api_key(session, made.json["key"])
        assert row is not None
        assert asdict(RetentionDays.of(row))["image_days"] == 2


def test_assets_are_kept_as_long_as_their_key_says(api: Api) -> None:
    with api.database.transaction() as session:
        key = keys.create_api_key(session, "ada", kept=RetentionDays(asset_days=2))
    asset = upload_asset(api, PNG, key=key).json
    kept = _time(asset["expires_at"]) - _time(asset["created_at"])
    assert kept == 2 * DAY


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_key_is_created_with_its_retention_on_the_command_line(sqlite_url: str, sqlite_database: Database) -> None:
    words = ["keys", "create", "--name", "shop", "--image-days", "30", "--prompt-days", "7"]
    environ = {"PRESSROOM_DATABASE_URL": sqlite_url}
    done = CliRunner().invoke(pressroom, words, env=environ)
    assert done.exit_code == 0, done.output
    with sqlite_database.reading() as session:
        row = keys.find_api_key(session, done.output.strip())
        assert row is not None
        assert RetentionDays.of(row) == RetentionDays(image_days=30, prompt_days=7)
    refused = CliRunner().invoke(pressroom, [*words, "--webhook-days", "1"], env=environ)
    assert refused.exit_code == 2
    assert "--webhook-days" in refused.output


def collect_orphans(api: Api) -> int:
    return len(orphans.collect_orphans(api.database, api.storage))


def test_objects_of_a_failed_attempt_are_collected_once_no_late_upload_can_follow(api: Api) -> None:
    held = factories.running(api.database)
    key = f"{build_attempt_prefix(held.owner, held.job_id, held.attempt)}0-late.png"
    api.storage.put(key, PNG, "image/png")
    assert collect_orphans(api) == 0, "the attempt is under way"
    with api.database.transaction() as session:
        lifecycle.fail_job(session, held, GenerationError(), Spent(gpu_seconds=1.0))
    age(api.database, held.job_id, orphans.ORPHANS_KEPT - timedelta(minutes=1))
    assert collect_orphans(api) == 0, "a press may still be uploading"
    age(api.database, held.job_id, orphans.ORPHANS_KEPT + timedelta(minutes=1))
    assert collect_orphans(api) == 1
    assert list(api.storage.list_keys("")) == []


def test_published_objects_are_never_collected(api: Api) -> None:
    job_id, (image,) = api.print_job()
    age(api.database, job_id, 100 * DAY)
    assert collect_orphans(api) == 0
    assert list(api.storage.list_keys("")) == [image.storage_key]
