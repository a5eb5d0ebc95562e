"""``/v1/floor``: the house for whoever runs it, and for everybody else their own jobs; on both databases."""

from pathlib import Path

import pytest

from common.db.engine import Database
from common.keys import Scope
from tests.support import factories
from tests.support.apis import Api, open_api


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path)


def test_the_floor_tells_whoever_runs_the_house_of_every_press_and_all_that_waits(api: Api) -> None:
    press = factories.press(api.database, host="press-one")
    factories.running(api.database, press, owner="bob")
    factories.submit(api.database, "bob")
    house = api.make_key("rita", (Scope.JOBS_READ, Scope.USAGE_HOUSE))
    floor = api.get("/v1/floor", key=house).json
    assert floor["house"]
    assert [each["host"] for each in floor["presses"]] == ["press-one"]
    assert floor["presses"][0]["printing"][0]["jobs"] == floor["running"] == 1
    assert (floor["queued"], floor["queue"][0]["jobs"]) == (1, 1)
    assert floor["per_hour"][0]["currency"] == "USD"


def test_the_floor_tells_others_of_their_own_jobs_alone(api: Api) -> None:
    press = factories.press(api.database, host="press-one")
    factories.running(api.database, press, owner="bob")
    factories.submit(api.database)
    floor = api.get("/v1/floor").json
    assert not floor["house"]
    assert (floor["presses"], floor["running"], floor["queued"]) == ([], 0, 1)
