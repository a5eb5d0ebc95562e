"""``/v1/overview``: everything for operators, and their own jobs for tenants; on both databases."""

from pathlib import Path

import pytest

from common.access.keys import Scope
from common.db.engine import Database
from common.jobs import lifecycle, overview
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
    seen = api.get("/v1/overview", key=operator).json
    assert seen["all_owners"]
    assert [each["host"] for each in seen["presses"]] == ["press-one"]
    assert seen["presses"][0]["printing"][0]["jobs"] == seen["running"] == 1
    assert (seen["queued"], seen["queue"][0]["jobs"]) == (1, 1)
    assert seen["per_hour"][0]["currency"] == "USD"


def test_the_overview_shows_tenants_only_their_own_jobs(api: Api) -> None:
    press = factories.press(api.database, host="press-one")
    factories.running(api.database, press, owner="bob")
    factories.submit(api.database)
    seen = api.get("/v1/overview").json
    assert not seen["all_owners"]
    assert (seen["presses"], seen["running"], seen["queued"]) == ([], 0, 1)


def test_counting_queued_jobs_stops_so_that_a_long_queue_costs_no_more(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "MOST_COUNTED", 3)
    jobs = [factories.submit(api.database, request={"width": width}) for width in (64, 64, 128, 192)]
    found = api.get("/v1/overview").json
    assert found["queued"] == sum(each["jobs"] for each in found["queue"]) == 3
    assert [each["lane"][1] for each in found["queue"]] == ["64 × 64", "128 × 64"], "the oldest are counted"
    with api.database.transaction() as session:
        lifecycle.cancel_queued_jobs(session, [job.id for job in jobs[:2]])
    assert api.get("/v1/overview").json["queued"] == 2
