"""Adapters over HTTP: listed with their models, named by jobs, and shown with them."""

from pathlib import Path

import pytest

from common.db.engine import Database
from common.models import catalog
from common.models.catalog import PAINTED_CARD, AdapterCard
from tests.support.apis import Api, open_api

INK = {
    "name": "ink",
    "title": "Ink",
    "description": "",
    "default_scale": 0.8,
    "trigger_words": ["inked"],
    "licence": "",
}


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    opened = open_api(sqlite_database, tmp_path)
    card = PAINTED_CARD.model_copy(update={"adapters": [AdapterCard.model_validate(INK)]})
    with sqlite_database.transaction() as session:
        catalog.register_models(session, [card])
    return opened


def test_a_model_is_listed_with_its_compatible_adapters(api: Api) -> None:
    (model,) = api.get("/v1/models").json["data"]
    assert model["adapters"] == [INK]


def test_a_job_shows_its_adapters_with_their_scales_and_a_retry_keeps_them(api: Api) -> None:
    job = api.make_job(adapters=[{"name": "ink"}])
    assert job["request"]["adapters"] == [{"name": "ink", "scale": 0.8}]
    again = api.make_job(**{name: value for name, value in job["request"].items() if value is not None})
    assert again["request"] == job["request"]


def test_a_missing_adapter_is_refused_by_name(api: Api) -> None:
    answer = api.post("/v1/jobs", json={"prompt": "a fox", "adapters": [{"name": "ink"}, {"name": "ghost"}]})
    assert (answer.status_code, answer.json["code"]) == (422, "unknown_adapter")
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/adapters/1/name"]
    assert api.count_jobs() == 0
