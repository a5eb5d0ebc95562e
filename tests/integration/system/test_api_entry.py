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


@pytest.mark.parametrize("public_url", ["https://pictures.example/pressroom", "http://127.0.0.1:8080/pressroom"])
@pytest.mark.parametrize("path", ["/console", "/console/"])
def test_the_console_without_a_slash_keeps_the_prefix(
    sqlite_database: Database, tmp_path: Path, public_url: str, path: str
) -> None:
    answer = open_api(sqlite_database, tmp_path, public_url=public_url).get(path, key=None)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/pressroom/console/sign-in")


def test_no_address_is_redirected_by_the_router(api: Api) -> None:
    rules = [rule for rule in api.app.url_map.iter_rules() if rule.rule.endswith("/") and rule.rule != "/"]
    assert [rule.rule for rule in rules if rule.strict_slashes is not False] == []
    assert not api.app.url_map.merge_slashes
