"""What the api says of itself when something that it needs does not answer."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from api.app import create_app
from api.runtime import readiness
from common.db.engine import Database
from common.errors import BrokerUnavailableError, DatabaseUnavailableError
from tests.support.apis import Api, open_api


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "REMEMBERED_SECONDS", -1.0)


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path / "home")


class UnreachableNotifier:
    """A notifier whose broker is gone."""

    def notify(self, model: str, job_id: object) -> None:
        raise BrokerUnavailableError

    def count_pending(self, model: str) -> int:
        raise BrokerUnavailableError

    def check(self) -> None:
        raise BrokerUnavailableError


def parts(api: Api, status: int) -> dict[str, str]:
    answer = api.get("/readyz", key=None)
    assert answer.status_code == status
    return {"status": answer.json["status"]} | {part["name"]: part["status"] for part in answer.json["parts"]}


class SlowBell:
    """A notifier whose broker takes its time; it counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def notify(self, model: str, *job_ids: object) -> None:
        raise BrokerUnavailableError

    def count_pending(self, model: str) -> int:
        return 0

    def check(self) -> None:
        self.asked += 1
        time.sleep(0.2)


SECRET = "a prompt that nobody may see"
ALL_WELL = {"status": "ready", "database": "ok", "broker": "ok", "storage": "ok"}


def test_a_healthy_service_reports_every_part_as_ok(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    assert api.get("/healthz", key=None).json == {"status": "ok"}
    assert parts(api, 200) == ALL_WELL


def test_a_dead_broker_leaves_the_api_in_service(sqlite_database: Database, tmp_path: Path) -> None:
    api = open_api(sqlite_database, tmp_path, notifier=UnreachableNotifier())
    assert parts(api, 200) == ALL_WELL | {"status": "degraded", "broker": "failing"}


def test_all_who_ask_at_once_share_one_examination(
    api: Api, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "REMEMBERED_SECONDS", 60.0)
    notifier = SlowBell()
    check = readiness.ReadinessCheck(sqlite_database, notifier, api.storage)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: check.outcome(), range(8)))
    assert notifier.asked == 1
    assert all(answer is answers[0] for answer in answers)


def test_a_lost_image_directory_is_named(api: Api) -> None:
    shutil.rmtree(api.storage.root, ignore_errors=True)
    api.storage.root.parent.mkdir(exist_ok=True)
    api.storage.root.write_text("in the way")
    assert parts(api, 200) == ALL_WELL | {"status": "degraded", "storage": "failing"}
    assert str(api.storage.root) not in api.get("/readyz").text


def test_a_database_without_tables_takes_the_api_out_of_service(api: Api, tmp_path: Path) -> None:
    empty = open_api_on(Database(f"sqlite:///{tmp_path / 'empty.db'}"), api)
    assert parts(empty, 503) == ALL_WELL | {"status": "unavailable", "database": "failing"}


def test_an_unavailable_database_answers_503_without_details(api: Api) -> None:
    dead = open_api_on(Database("postgresql://ada:secret@127.0.0.1:1/none"), api)
    answer = dead.get("/v1/jobs")
    assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert answer.json["detail"] == DatabaseUnavailableError().message
    assert parts(dead, 503)["database"] == "failing"


def test_an_internal_error_is_reported_without_details(api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    broken = replace(api, app=create_app(api.services.settings, services=api.services))  # an app for this alone

    @broken.app.before_request
    def crash() -> None:
        raise ZeroDivisionError(SECRET)

    answer = broken.get("/healthz")
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert answer.content_type == "application/problem+json"
    logged = "".join(capfd.readouterr())
    assert "ZeroDivisionError" in logged
    assert SECRET not in answer.text + logged
    assert answer.json["request_id"] in logged


def test_prompts_and_metadata_are_not_logged(api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    api.make_job(prompt="canary one", negative_prompt="canary two", metadata={"note": "canary three"})
    api.post("/v1/jobs", json={"prompt": "canary four", "steps": "canary five"})
    assert "canary" not in "".join(capfd.readouterr())


def open_api_on(database: Database, other: Api) -> Api:
    """Return an api like *other*, but on *database*."""
    services = replace(other.services, database=database)
    return Api(create_app(services.settings, services=services), services, other.notifier, other.storage, other.key)
