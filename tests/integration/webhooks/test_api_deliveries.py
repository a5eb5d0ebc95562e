"""Deliveries over HTTP: listed, looked at, and sent again."""

from pathlib import Path
from typing import Any

import pytest

from common.db.engine import Database
from common.states.webhooks import JOB_EVENTS, MessageState
from common.tables import WebhookMessage
from tests.support import factories
from tests.support.apis import Api, open_api

HOOK = "https://hooks.example/a"


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path)


def make(api: Api, url: str | None = HOOK, **fields: Any) -> dict[str, Any]:
    answer = api.post("/v1/webhooks", json=({"url": url} if url else {}) | fields)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/webhooks/{answer.json['id']}"
    return answer.json


def send_test(api: Api, webhook: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(f"/v1/webhooks/{webhook['id']}/test")
    assert answer.status_code == 202, answer.text
    return answer.json


def put(api: Api, state: MessageState) -> None:
    """Write a state of all messages directly."""
    with api.database.transaction() as session:
        for message in session.query(WebhookMessage):
            message.state = state


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def test_deliveries_are_listed_by_page_and_state_and_job(api: Api) -> None:
    webhook = make(api, events=[str(event) for event in JOB_EVENTS])
    path = f"/v1/webhooks/{webhook['id']}/deliveries"
    sent = [send_test(api, webhook)["id"] for _ in range(3)]
    put(api, MessageState.EXHAUSTED)
    held = factories.running(api.database)
    first = api.get(path, query_string={"limit": 3}).json
    assert first["has_more"]
    rest = api.get(path, query_string={"limit": 3, "cursor": first["next"]}).json
    listed = [row["id"] for row in first["data"] + rest["data"]]
    assert listed[1:] == sent[::-1]
    assert {row["body"] for row in first["data"]} == {None}
    exhausted = api.get(path, query_string={"state": "exhausted"}).json["data"]
    assert [row["id"] for row in exhausted] == sent[::-1]
    assert {row["next_attempt_at"] for row in exhausted} == {None}
    (started,) = api.get(path, query_string={"job_id": str(held.job_id)}).json["data"]
    assert (started["event"], started["state"], started["attempts"]) == ("job.started", "pending", 0)
    looked = api.get(f"{path}/{started['id']}").json
    assert looked["body"]["type"] == "job.started"
    assert looked["body"]["data"]["id"] == str(held.job_id)
    assert api.get(f"{path}/{started['id']}/attempts").json["data"] == []
    assert problem(api.get(path, query_string={"cursor": "x"})) == (400, "invalid_cursor")
    assert problem(api.get(path, query_string={"state": "lost"})) == (422, "invalid_parameter")


def test_deliveries_of_a_period_can_be_resent(api: Api) -> None:
    webhook = make(api)
    path = f"/v1/webhooks/{webhook['id']}"
    for _ in range(2):
        send_test(api, webhook)
    put(api, MessageState.DELIVERED)
    everything = {"from": "2026-01-01T00:00:00Z"}
    assert api.post(f"{path}/resend", json=everything).json["count"] == 0
    assert api.post(f"{path}/resend", json=everything | {"to": "2026-01-02T00:00:00Z"}).json["count"] == 0
    assert api.post(f"{path}/resend", json=everything | {"delivered": True}).json["count"] == 2
    assert {row["state"] for row in api.get(f"{path}/deliveries").json["data"]} == {"pending"}
    for body in ({}, {"from": "yesterday"}, {"from": 1}):
        assert api.post(f"{path}/resend", json=body).status_code == 422


def test_a_webhook_can_be_disabled_and_enabled(api: Api) -> None:
    webhook = make(api)
    path = f"/v1/webhooks/{webhook['id']}"
    delivery = send_test(api, webhook)
    disabled = api.post(f"{path}/disable").json
    assert (disabled["status"], disabled["disabled_reason"]) == ("disabled", "owner")
    assert api.get(f"{path}/deliveries/{delivery['id']}").json["state"] == "canceled"
    for action in ("test", f"deliveries/{delivery['id']}/resend"):
        assert problem(api.post(f"{path}/{action}")) == (409, "webhook_disabled")
    assert problem(api.post(f"{path}/resend", json={"from": "2026-01-01T00:00:00Z"})) == (409, "webhook_disabled")
    enabled = api.post(f"{path}/enable").json
    assert (enabled["status"], enabled["disabled_reason"]) == ("enabled", None)
    assert api.post(f"{path}/deliveries/{delivery['id']}/resend").json["state"] == "pending"


def test_a_deleted_webhook_is_gone_with_its_deliveries(api: Api) -> None:
    webhook = make(api)
    delivery = send_test(api, webhook)
    path = f"/v1/webhooks/{webhook['id']}"
    assert api.call("DELETE", path).status_code == 204
    for gone in (path, f"{path}/deliveries", f"{path}/deliveries/{delivery['id']}"):
        assert problem(api.get(gone)) == (404, "not_found")


def test_a_delivery_is_found_under_its_own_webhook_alone(api: Api) -> None:
    one, other = make(api), make(api, HOOK + "b")
    delivery = send_test(api, one)
    assert api.get(f"/v1/webhooks/{one['id']}/deliveries/{delivery['id']}").status_code == 200
    assert problem(api.get(f"/v1/webhooks/{other['id']}/deliveries/{delivery['id']}")) == (404, "not_found")
