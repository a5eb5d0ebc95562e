"""``/v1/overview``: everything for operators, and their own jobs for tenants; on both databases."""

from pathlib import Path

import pytest

from common.access.keys import Scope
from common.db.engine import Database
from tests.support import factories
from tests.support.apis import Api, open_api


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path)


def test_the_overview_shows_operators_every_press_and_all_waiting_jobs(api: Api) -> None:
    press = factories.press(api.database, host="press-one")
    factories.running(api.database, press, owner="bob")
    factories.submit(api.database, "bob")
    operator = api.make_key("rita", (Scope.JOBS_READ, Scope.USAGE_ALL))
    overview = api.get("/v1/overview", key=operator).json
    assert overview["all_owners"]
    assert [each["host"] for each in overview["presses"]] == ["press-one"]
    assert overview["presses"][0]["printing"][0]["jobs"] == overview["running"] == 1
    assert (overview["queued"], overview["queue"][0]["jobs"]) == (1, 1)
    assert overview["per_hour"][0]["currency"] == "USD"


def test_the_overview_shows_tenants_only_their_own_jobs(api: Api) -> None:
    press = factories.press(api.database, host="press-one")
    factories.running(api.database, press, owner="bob")
    factories.submit(api.database)
    overview = api.get("/v1/overview").json
    assert not overview["all_owners"]
    assert (overview["presses"], overview["running"], overview["queued"]) == ([], 0, 1)
