"""The operator report over HTTP: for operators alone, from the meters and the ledger; on both databases."""

from datetime import timedelta
from pathlib import Path

import pytest

from api.system.usage import MOST_PRESSES
from common.access.keys import Scope
from common.clock import utcnow
from common.db.engine import Database
from common.jobs import lifecycle
from common.jobs.attempts import Spent
from tests.support import factories
from tests.support.apis import Api, open_api

HOUR = timedelta(hours=1)
START = utcnow().replace(microsecond=0) - timedelta(days=1)


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    """An api whose key is an operator's."""
    api = open_api(database, tmp_path)
    api.key = api.make_key("operator", (Scope.USAGE_ALL,))
    return api


def print_one(database: Database, owner: str) -> str:
    press_id = factories.press(
        database,
        started_at=START,
        heartbeat_at=START + HOUR,
        busy_seconds=2.0,
        cpu_seconds=9.0,
        overhead={"load": 0.5},
        energy_joules=500.0,
    )
    held = factories.running(database, press_id, owner=owner)
    with database.transaction() as session:
        lifecycle.succeed_job(session, held, factories.images(held), Spent(gpu_seconds=1.5))
    return str(press_id)


def test_the_report_covers_all_presses_and_owners(api: Api) -> None:
    older, newer = print_one(api.database, "ada"), print_one(api.database, "bob")
    report = api.get("/v1/usage/operator").json
    assert report["object"] == "operator_report"
    assert report["total"] == {
        "up_seconds": 7200.0,
        "busy_gpu_seconds": 4.0,
        "idle_seconds": 7196.0,
        "utilisation": pytest.approx(4 / 7200),
        "delivered_share": 0.5,
        "attempts": 2,
        "images": 2,
        "delivered_gpu_seconds": 2.0,
        "running_gpu_seconds": 0.0,
        "waste_gpu_seconds": {"blocked": 1.0},
        "overhead_gpu_seconds": {"load": 1.0},
        "carried_gpu_seconds": 0.0,
        "cpu_seconds": 18.0,
        "energy_joules": 1000.0,
    }
    assert report["money"] == [
        {
            "currency": "USD",
            "up_amount": "1.2",
            "charged_amount": "0.000333334",
            "images": 2,
            "amount_per_image": "0.6",
        }
    ]
    assert [row["id"] for row in report["data"]] == [newer, older]
    row = report["data"][0]
    assert (row["host"], row["accelerator"], row["models"]) == ("localhost", "none", ["painted"])
    assert (row["price_per_hour"], row["currency"], row["up_amount"]) == ("0.6", "USD", "0.6")
    assert (row["started_at"], row["stopped_at"]) == (START.isoformat().replace("+00:00", "Z"), None)
    assert (row["up_seconds"], row["busy_gpu_seconds"], row["delivered_gpu_seconds"]) == (3600.0, 2.0, 1.0)
    assert report["has_more"] is False


def test_an_empty_installation_reports_nothing(api: Api) -> None:
    report = api.get("/v1/usage/operator").json
    assert (report["data"], report["money"], report["has_more"]) == ([], [], False)
    total = report["total"]
    assert (total["up_seconds"], total["utilisation"], total["energy_joules"]) == (0.0, None, None)


def test_the_report_covers_the_requested_period(api: Api) -> None:
    print_one(api.database, "ada")
    half = {"from": (START + HOUR / 2).isoformat(), "to": (START + 2 * HOUR).isoformat()}
    total = api.get("/v1/usage/operator", query_string=half).json["total"]
    assert (total["up_seconds"], total["busy_gpu_seconds"], total["energy_joules"]) == (1800.0, 1.0, 250.0)
    before = {"to": START.isoformat()}
    assert api.get("/v1/usage/operator", query_string=before).json["data"] == []
    backwards = {"from": (START + 2 * HOUR).isoformat(), "to": START.isoformat()}
    assert api.get("/v1/usage/operator", query_string=backwards).json["total"]["up_seconds"] == 0.0


def test_the_earliest_and_latest_dates_are_accepted(api: Api) -> None:
    print_one(api.database, "ada")
    ends = {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}
    assert api.get("/v1/usage/operator", query_string=ends).json["total"]["up_seconds"] == 3600.0


def test_a_tenant_cannot_read_the_report(api: Api) -> None:
    answer = api.get("/v1/usage/operator", key=api.make_key("ada"))
    assert (answer.status_code, answer.json["code"]) == (403, "insufficient_scope")


def test_the_report_cannot_be_grouped(api: Api) -> None:
    answer = api.get("/v1/usage/operator?group_by=day")
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_parameter")


def test_many_presses_are_counted_and_not_all_listed(api: Api) -> None:
    for _ in range(MOST_PRESSES + 1):
        factories.press(api.database, started_at=START, heartbeat_at=START + HOUR)
    report = api.get("/v1/usage/operator").json
    assert (len(report["data"]), report["has_more"]) == (MOST_PRESSES, True)
    assert report["total"]["up_seconds"] == 3600.0 * (MOST_PRESSES + 1)
