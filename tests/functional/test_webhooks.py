"""Webhooks through the whole stack: jobs by HTTP, the press, the clerk, and receivers that check what they get."""

import json

from common.states.webhooks import MessageState
from tests.functional.stack import Stack
from tests.support.servers.webhook_receivers import Received, answer, receiving
from tests.support.waiting import until


def told(request: Received) -> tuple[str, str]:
    """Return which job a message is about, and what has become of it."""
    body = json.loads(request.body)
    return body["data"]["id"], body["type"]


def test_every_outcome_of_a_job_is_sent_and_verifies_during_a_rotation_too(stack: Stack) -> None:
    client = stack.client()
    with receiving(answer(500), answer(204)) as receiver:
        webhook = client.post("/v1/webhooks", status=201, url=receiver.url)
        secrets = [webhook["secret"]]
        ordered = [client.order() for _ in range(3)]
        canceled = client.order(steps=150)
        client.post(f"/v1/jobs/{canceled}/cancel", status=200)
        stack.settle(ordered)
        answered = client.http.post(f"/v1/webhooks/{webhook['id']}/rotate", json={})
        secrets.append(answered.json()["secret"])
        ordered.append(client.order())
        expected = {*((job_id, "job.succeeded") for job_id in ordered), (canceled, "job.canceled")}
        until(lambda: expected <= {told(request) for request in receiver.received}, "all to be told")
        for request in receiver.received:
            request.verify(secrets[0])
        last = next(request for request in receiver.received if told(request)[0] == ordered[-1])
        last.verify(secrets[1])
        listing = f"/v1/webhooks/{webhook['id']}/deliveries"
        until(lambda: all(row["state"] == MessageState.DELIVERED for row in _list(stack, listing)), "deliveries")
        assert max(row["attempts"] for row in _list(stack, listing)) == 2, "the first was refused once"
        assert client.http.delete(f"/v1/webhooks/{webhook['id']}").status_code == 204
    for secret in secrets:
        assert secret not in stack.log.read_text()


def test_a_job_reports_its_start_and_end_to_its_own_receiver(stack: Stack) -> None:
    client = stack.client()
    with receiving() as receiver:
        direct = client.http.post("/v1/webhooks", json={}).json()
        events = ["job.started", "job.succeeded"]
        job_id = client.order(webhook_url=receiver.url, webhook_events=events)
        until(lambda: len(receiver.received) == 2, "both to be told")
        for request in receiver.received:
            request.verify(direct["secret"])
        assert {told(request) for request in receiver.received} == {(job_id, event) for event in events}
        bodies = {told(request)[1]: json.loads(request.body)["data"] for request in receiver.received}
        assert bodies["job.started"]["version"] < bodies["job.succeeded"]["version"]
        shown = client.wait(job_id)
        assert bodies["job.succeeded"]["version"] == shown["version"]
        assert [image["id"] for image in bodies["job.succeeded"]["images"]] == [
            image["id"] for image in shown["images"]
        ]
        assert bodies["job.succeeded"]["cost"]["amount"] == shown["cost"]["amount"]


def test_the_ports_of_the_stack_itself_are_refused_as_receivers(stack: Stack) -> None:
    client = stack.client()
    for url in (stack.settings.base_url, "https://localhost/", "https://169.254.169.254/latest/meta-data/"):
        for path, body in (("/v1/webhooks", {"url": url}), ("/v1/jobs", {"prompt": "x", "webhook_url": url})):
            assert client.post(path, status=422, **body)["code"] == "destination_not_allowed"


def _list(stack: Stack, path: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = stack.client().http.get(path, params={"limit": 100}).json()["data"]
    return rows
