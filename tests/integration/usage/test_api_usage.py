"""Usage: delivered plus running plus waste is all that was spent, however it is grouped; on both databases."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from common.clock import utcnow
from common.db.engine import Database
from common.jobs import attempts, lifecycle
from common.jobs.attempts import Spent
from common.states.jobs import ImageStatus
from common.usage import owner_usage
from common.usage.owner_usage import GroupBy
from tests.support import factories
from tests.support.apis import Api, open_api

DAY = timedelta(days=1)


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    """Ada spent 1.5 twice, 1.0 of it delivered, 2.0 on a blocked, 4.0 on a canceled and 8.0 on a running job."""
    api = open_api(database, tmp_path)
    for _ in range(2):
        api.print_job()
    api.print_job("bob")
    held = factories.running(database)
    with database.transaction() as session:
        lifecycle.block_job(session, held, factories.images(held, ImageStatus.BLOCKED), Spent(gpu_seconds=2.0))
    held = factories.running(database)
    with database.transaction() as session:
        lifecycle.cancel_job(session, session.get_one(factories.Job, held.job_id))
        attempts.record_late_spend(session, held, Spent(gpu_seconds=4.0))
    held = factories.running(database)
    with database.transaction() as session:
        attempts.record_spend(session, held, Spent(gpu_seconds=8.0))
    return api


def test_the_total_adds_up(api: Api) -> None:
    total = api.get("/v1/usage").json["total"]
    assert total == {
        "group": None,
        "jobs": 5,
        "attempts": 5,
        "images": 2,
        "gpu_seconds": 17.0,
        "delivered_gpu_seconds": 2.0,
        "running_gpu_seconds": 8.0,
        "waste_gpu_seconds": {"blocked": 3.0, "canceled": 4.0},
        "charged": [{"amount": "0.000333334", "currency": "USD"}],
    }


def test_the_groups_add_up_to_the_total(api: Api) -> None:
    for group_by in GroupBy:
        report = api.get(f"/v1/usage?group_by={group_by}").json
        assert report["group_by"] == group_by
        for name in ("jobs", "attempts", "images", "gpu_seconds"):
            assert sum(row[name] for row in report["data"]) == pytest.approx(report["total"][name])


def test_groups_are_named_after_their_grouping_field(api: Api) -> None:
    groups = {
        group_by: [row["group"] for row in api.get(f"/v1/usage?group_by={group_by}").json["data"]]
        for group_by in GroupBy
    }
    assert groups == {
        "day": [utcnow().date().isoformat()],
        "model": ["painted"],
        "key": [""],
        "status": ["canceled", "failed", "running", "succeeded"],
        "priority": ["interactive"],
    }


def test_jobs_made_with_a_key_are_counted_under_its_id(api: Api) -> None:
    api.make_job()
    held = factories.claim(api.database, factories.press(api.database))
    assert held is not None
    groups = [row["group"] for row in api.get("/v1/usage?group_by=key").json["data"]]
    assert groups == ["", api.key.split("_")[1]]


def test_usage_outside_the_period_is_left_out(api: Api) -> None:
    later = (utcnow() + DAY).isoformat()
    assert api.get("/v1/usage", query_string={"from": later}).json["total"]["jobs"] == 0
    earlier = (utcnow() - DAY).isoformat()
    assert api.get("/v1/usage", query_string={"to": earlier}).json["total"]["jobs"] == 0
    assert api.get("/v1/usage", query_string={"from": earlier, "to": later}).json["total"]["jobs"] == 5


def test_the_earliest_and_latest_dates_are_accepted(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path)
    for time in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z"):
        assert api.get("/v1/usage", query_string={"to": time}).status_code == 200
        assert api.get("/v1/usage", query_string={"from": time}).status_code == 200


def test_an_owner_without_jobs_has_no_usage(database: Database) -> None:
    with database.reading() as session:
        nothing = owner_usage.load_usage(session, "ada", utcnow() - DAY, utcnow())
    assert (nothing.jobs, nothing.gpu_seconds, nothing.amounts, Decimal(0)) == (0, 0.0, {}, 0)
