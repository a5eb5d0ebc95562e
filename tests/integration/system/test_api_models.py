"""Models over HTTP: whether each can be used, and if not, why."""

from pathlib import Path

import pytest

from common.db.engine import Database
from common.models import catalog
from common.models.catalog import PAINTED_CARD, ModelCard
from tests.support import factories
from tests.support.apis import Api, open_api

BROKEN = PAINTED_CARD.model_copy(update={"name": "broken", "fault": "The model broken lacks the folder vae."})


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path)


def register(database: Database, *cards: ModelCard, served: tuple[str, ...] = ()) -> None:
    with database.transaction() as session:
        catalog.register_models(session, cards)
    if served:
        factories.press(database, models=list(served))


def list_models(api: Api) -> dict[str, tuple[bool, str | None]]:
    return {
        model["id"]: (model["available"], model["unavailable_reason"]) for model in api.get("/v1/models").json["data"]
    }


def test_each_model_says_why_no_press_can_use_it(api: Api, sqlite_database: Database) -> None:
    waiting = PAINTED_CARD.model_copy(update={"name": "waiting"})
    register(sqlite_database, PAINTED_CARD, BROKEN, waiting, served=("painted",))
    assert list_models(api) == {
        "painted": (True, None),
        "broken": (False, "The model broken lacks the folder vae."),
        "waiting": (False, "No press with this model is running."),
    }


def test_a_job_for_a_model_that_no_press_can_use_is_rejected_with_the_reason(
    api: Api, sqlite_database: Database
) -> None:
    register(sqlite_database, PAINTED_CARD, BROKEN)
    answer = api.post("/v1/jobs", json={"prompt": "a fox", "model": "broken"})
    assert (answer.status_code, answer.json["code"]) == (503, "model_unavailable")
    assert "lacks the folder vae" in answer.json["detail"]
    assert api.count_jobs() == 0
    assert api.make_job(model="painted")


def test_a_model_that_one_press_can_use_is_available_whatever_another_said(api: Api, sqlite_database: Database) -> None:
    register(sqlite_database, BROKEN, served=("broken",))
    assert list_models(api)["broken"] == (True, None)
    assert api.make_job(model="broken")
