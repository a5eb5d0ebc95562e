"""Apis that die during a submission, and two that receive the same one: one job, and the client can find it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx2
import pytest

from common.states.jobs import JobStatus
from tests.faults.support import press_process
from tests.functional.stack import Client, Stack
from tests.support.waiting import until

BODY = {"prompt": "a lighthouse", "width": 64, "height": 64, "steps": 2}
THREADS = 20


@pytest.fixture(scope="module", autouse=True)
def _press(_embedded: Stack) -> Iterator[None]:
    with press_process.press(_embedded):
        yield


def _key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


def _jobs_of(client: Client) -> list[str]:
    return [job["id"] for job in client.http.get("/v1/jobs", params={"limit": 100}).json()["data"]]


@pytest.mark.parametrize(("point", "is_accepted"), [("submitting", False), ("submitted", True), ("notified", True)])
def test_f45_f46_f47_an_api_that_dies_during_a_submission_accepts_it_once_or_not_at_all(
    stack: Stack, point: str, *, is_accepted: bool
) -> None:
    ours = stack.client()
    before = set(_jobs_of(ours))
    with press_process.api(stack, f"{point}:kill") as dying:
        with pytest.raises(httpx2.TransportError):
            dying.http.post("/v1/jobs", json=BODY, headers=_key(point))
        assert press_process.is_passed(stack, point)
        made = set(_jobs_of(ours)) - before
        assert len(made) == is_accepted
        if is_accepted:
            (row,) = stack.settle(list(made))
            assert row.status is JobStatus.SUCCEEDED, "nobody rang, or rings again, and it is printed all the same"
        again = dying.http.post("/v1/jobs", json=BODY, headers=_key(point))
    assert again.is_success
    assert ("Idempotency-Replayed" in again.headers) == is_accepted
    assert set(_jobs_of(ours)) - before == {again.json()["id"]}
    ours.accepted.append(again.json()["id"])


@pytest.mark.chaos
@pytest.mark.parametrize("point", ["submitting", "submitted"])
def test_an_api_that_dies_during_many_submissions_accepts_each_once_or_not_at_all(stack: Stack, point: str) -> None:
    ours = stack.client()
    before = set(_jobs_of(ours))
    keys = [_key(f"{point}-{number}") for number in range(THREADS)]

    def ask(client: Client, key: dict[str, str]) -> httpx2.Response | None:
        try:
            return client.http.post("/v1/jobs", json=BODY, headers=key)
        except httpx2.TransportError:
            return None

    with press_process.api(stack, f"{point}:kill@{THREADS // 2}") as dying, ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(ask, [dying] * THREADS, keys))
        assert press_process.is_passed(stack, point, THREADS // 2)
        accepted = {answer.json()["id"] for answer in answers if answer is not None and answer.is_success}
        assert accepted <= set(_jobs_of(ours)) - before
        until(lambda: ask(dying, keys[0]), "the api to be back")
        again = [dying.http.post("/v1/jobs", json=BODY, headers=key) for key in keys]
    assert {answer.is_success for answer in again} == {True}
    made = {answer.json()["id"] for answer in again}
    assert accepted <= made
    assert made == set(_jobs_of(ours)) - before
    assert len(made) == THREADS
    ours.accepted.extend(made)


def test_f48_one_key_at_two_apis_at_once_makes_one_job(stack: Stack) -> None:
    ours = stack.client()
    before = set(_jobs_of(ours))
    barrier = Barrier(THREADS)

    def ask(client: Client) -> httpx2.Response:
        barrier.wait(60)
        return client.http.post("/v1/jobs", json=BODY, headers=_key("together"))

    with press_process.api(stack) as theirs, ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(ask, [ours, theirs] * (THREADS // 2)))
    assert {answer.status_code for answer in answers} <= {200, 202, 409}, "200 is a replay that came after the end"
    made = {answer.json()["id"] for answer in answers if answer.is_success}
    assert made == set(_jobs_of(ours)) - before
    assert len(made) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers if answer.is_success) == 1
    ours.accepted.extend(made)
