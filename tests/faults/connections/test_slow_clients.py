"""Two hundred slow clients of each kind, with and without a key: jobs of other owners are accepted all the same."""

import http.client
import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest

from common.access import keys
from tests.support.servers.api_servers import Server, serving
from tests.support.servers.slow_clients import KINDS, Kind, Target, attacking
from tests.support.waiting import until

COUNT = 200
JOBS = 100
LONGEST_SECONDS = 1
CAMPAIGN = {"name": "cards", "template": {"prompt": "a card for {{ name }}"}, "budget": {"amount": "10"}}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(PRESSROOM_LOG_LEVEL="ERROR", PRESSROOM_MAX_QUEUED_JOBS="100000") as started:
        yield started


@pytest.fixture(scope="module")
def target(server: Server) -> Target:
    """What the slow clients know: a key of their own, and a job and a campaign with as many rows as they may upload."""
    with server.database.transaction() as session:
        key = keys.create_api_key(session, "eve")
    job = post(server.port, key, "/v1/jobs", {"prompt": "a lighthouse"})
    campaign = post(server.port, key, "/v1/campaigns", CAMPAIGN)
    return Target(server.port, key, job["id"], campaign["id"])


def post(port: int, key: str, path: str, fields: dict[str, Any]) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(fields), headers)
    answer = connection.getresponse()
    content: dict[str, Any] = json.loads(answer.read())
    connection.close()
    assert answer.status in (201, 202), content
    return content


def measure_submits(server: Server, count: int) -> list[float]:
    """Return how many seconds each of *count* submits took, one after the other, each on a connection of its own."""
    seconds = []
    for _ in range(count):
        began = time.monotonic()
        post(server.port, server.key, "/v1/jobs", {"prompt": "a fox"})
        seconds.append(time.monotonic() - began)
    return seconds


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_slow_clients_do_not_keep_the_jobs_of_others_waiting(server: Server, target: Target, kind: Kind) -> None:
    with attacking(target, kind, COUNT):
        # Answers that nobody reads are made first, which is work; the test is about what comes after.
        until(lambda: max(measure_submits(server, 3)) < LONGEST_SECONDS, "the first requests of the slow clients")
        # A moment in which the machine itself is slow passes; clients that keep others waiting do so every time.
        tries = (statistics.quantiles(measure_submits(server, JOBS), n=100)[98] for _ in range(3))
        assert any(slowest < LONGEST_SECONDS for slowest in tries)


@pytest.mark.parametrize("kind", [each for each in KINDS if each.name in ("event streams", "recipient uploads")])
def test_slow_clients_leave_places_to_others(server: Server, target: Target, kind: Kind) -> None:
    job = post(server.port, server.key, "/v1/jobs", {"prompt": "a fox"})
    campaign = post(server.port, server.key, "/v1/campaigns", CAMPAIGN)
    with attacking(target, kind, COUNT):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        headers = {"Authorization": f"Bearer {server.key}"}
        connection.request("GET", f"/v1/jobs/{job['id']}/events", headers=headers)
        assert connection.getresponse().status == 200
        connection.close()
        rows = b"name\n" + b"Ada Lovelace\n" * 30_000  # large enough to need a place
        connection.request(
            "PUT", f"/v1/campaigns/{campaign['id']}/recipients", rows, headers | {"Content-Type": "text/csv"}
        )
        assert connection.getresponse().status == 200
        connection.close()
