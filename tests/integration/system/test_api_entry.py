"""``GET /``: where a browser and a program are sent."""

from pathlib import Path

import pytest

from common.db.engine import Database
from tests.support.apis import Api, open_api

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def api(sqlite_database: Database, tmp_path: Path) -> Api:
    return open_api(sqlite_database, tmp_path)


def test_a_browser_is_sent_to_the_console(api: Api) -> None:
    answer = api.get("/", key=None, headers={"Accept": FIREFOX})
    assert (answer.status_code, answer.headers["Location"], answer.headers["Vary"]) == (303, "/console/", "Accept")


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_other_clients_get_links_that_lead_somewhere(api: Api, accept: str) -> None:
    answer = api.get("/", key=None, headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.json["documentation"] == "http://127.0.0.1:8000/docs"
    for name in ("console", "documentation", "openapi", "health"):
        path = answer.json[name].removeprefix("http://127.0.0.1:8000")
        assert api.get(path, key=None).status_code < 400


def test_links_have_the_prefix_of_the_service(sqlite_database: Database, tmp_path: Path) -> None:
    api = open_api(sqlite_database, tmp_path, public_url="https://pictures.example/pressroom")
    assert api.get("/", key=None, headers={"Accept": FIREFOX}).headers["Location"] == "/pressroom/console/"
    assert api.get("/", key=None).json["console"] == "https://pictures.example/pressroom/console/"
