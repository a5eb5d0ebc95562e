"""Links that are cut, slow or lose the one answer that mattered: to PostgreSQL, to Redis and to S3."""

import signal
import time
from collections.abc import Iterator

import pytest

from common.states.jobs import JobStatus, Outcome
from tests.faults.support import press_process
from tests.faults.support.press_process import Linked
from tests.faults.support.proxy import Loss, Proxy
from tests.functional.backends import kill_broker
from tests.functional.stack import Stack
from tests.support.waiting import until

BODY = {"prompt": "a lighthouse", "width": 64, "height": 64, "steps": 2}
LONG = {"steps": 80}
"""Four seconds of work."""

PATIENT = {"PRESSROOM_LEASE_SECONDS": "30"}
"""A press whose lease outlasts what is done to it, on a busy machine too."""


@pytest.fixture
def own_link(links: Linked) -> Iterator[Proxy]:
    """A way to the database for one press alone."""
    link = links.link_database()
    yield link
    link.close()


def _outcomes(stack: Stack, job_id: str) -> list[Outcome]:
    return [attempt.outcome for attempt in stack.attempts(job_id)]


def _await_beat(stack: Stack, job_id: str) -> None:
    until(lambda: [row for row in stack.attempts(job_id) if row.gpu_seconds > 0], "a beat")


def _settle_well(stack: Stack, ordered: list[str]) -> None:
    assert {row.status for row in stack.settle(ordered)} == {JobStatus.SUCCEEDED}


def test_f10_a_press_paused_past_its_lease_on_postgresql_changes_nothing(linked: Stack) -> None:
    with press_process.press(linked) as paused:
        job_id = linked.client().order(**LONG)
        _await_beat(linked, job_id)
        paused.send_signal(signal.SIGSTOP)  # perhaps inside a transaction: PostgreSQL ends that in time
        try:
            with press_process.press(linked, **press_process.HASTY):
                _settle_well(linked, [job_id])
        finally:
            paused.send_signal(signal.SIGCONT)
        (before,) = linked.rows(job_id)
        until(lambda: _outcomes(linked, job_id) == [Outcome.FENCED, Outcome.SUCCEEDED], "the late press to be fenced")
    assert linked.image_count(job_id) == 1
    assert linked.rows(job_id)[0].finished_at == before.finished_at


def test_f20_jobs_are_accepted_while_redis_is_down_and_printed_when_it_is_back(linked: Stack, links: Linked) -> None:
    with press_process.press(linked):
        links.broker_link.refuse()
        ordered = [linked.client().order() for _ in range(10)]
        links.broker_link.heal()
        _settle_well(linked, ordered)


def test_f21_a_running_job_finishes_while_redis_is_down_and_the_press_reconnects(linked: Stack, links: Linked) -> None:
    with press_process.press(linked) as press:
        job_id = linked.client().order(**LONG)
        _await_beat(linked, job_id)
        links.broker_link.refuse()
        _settle_well(linked, [job_id])
        links.broker_link.heal()
        _settle_well(linked, [linked.client().order()])
        assert press.poll() is None
    assert _outcomes(linked, job_id) == [Outcome.SUCCEEDED]


def test_f22_f23_redis_is_flushed_and_killed_and_every_job_is_printed_once(linked: Stack, links: Linked) -> None:
    with press_process.press(linked, **PATIENT):
        ordered = [linked.client().order(steps=5) for _ in range(20)]
        for done in (2, 6):
            until(lambda done=done: linked.count(JobStatus.SUCCEEDED, ordered) >= done, "some jobs")
            with links.connect(linked.settings) as broker:
                broker.flushall()
        until(lambda: linked.count(JobStatus.SUCCEEDED, ordered) >= 10, "half of the jobs")
        kill_broker(links, linked.settings)
        _settle_well(linked, ordered)
    assert {attempt.outcome for attempt in linked.attempts(*ordered)} == {Outcome.SUCCEEDED}


def test_f24_jobs_are_accepted_while_redis_is_full_and_printed_when_it_has_space(linked: Stack, links: Linked) -> None:
    with press_process.press(linked), links.connect(linked.settings) as broker:
        broker.config_set("maxmemory", 1)
        ordered = [linked.client().order() for _ in range(10)]
        broker.config_set("maxmemory", 0)
        _settle_well(linked, ordered)


def test_f25_jobs_are_printed_over_a_broken_or_slow_connection_to_redis(linked: Stack, links: Linked) -> None:
    with press_process.press(linked):
        links.broker_link.reset()
        _settle_well(linked, [linked.client().order()])
        links.broker_link.slow(0.3)
        _settle_well(linked, [linked.client().order()])


def test_f27_without_its_database_the_api_answers_503_with_retry_after(linked: Stack, links: Linked) -> None:
    client = linked.client()
    headers = {"Idempotency-Key": "f27"}
    _settle_while_printing(linked, [client.order()])  # so that the api's pool holds connections that are about to die
    links.database_link.refuse()
    asked_at = time.monotonic()
    refused = client.http.post("/v1/jobs", json=BODY, headers=headers)
    waited = time.monotonic() - asked_at
    assert (refused.status_code, refused.headers["Content-Type"]) == (503, "application/problem+json")
    assert int(refused.headers["Retry-After"]) > 0
    assert waited < 2, "whoever asks is not kept waiting"
    links.database_link.heal()
    job_id = client.order(headers=headers)
    assert client.order(headers=headers) == job_id
    client.accepted.pop()
    _settle_while_printing(linked, [job_id])


def _settle_while_printing(stack: Stack, ordered: list[str]) -> None:
    with press_process.press(stack, **press_process.HASTY):
        _settle_well(stack, ordered)


def test_f28_a_press_that_loses_its_database_for_less_than_a_lease_goes_on(
    linked: Stack, links: Linked, own_link: Proxy
) -> None:
    with press_process.press(linked, **PATIENT, PRESSROOM_DATABASE_URL=links.name_database(own_link)):
        job_id = linked.client().order(**LONG)
        _await_beat(linked, job_id)
        own_link.refuse()
        time.sleep(2)  # the fault's length, not a wait
        own_link.heal()
        _settle_well(linked, [job_id])
    assert _outcomes(linked, job_id) == [Outcome.SUCCEEDED]


def test_f28_a_press_that_loses_its_database_for_longer_is_fenced_off(
    linked: Stack, links: Linked, own_link: Proxy
) -> None:
    with press_process.press(linked, PRESSROOM_DATABASE_URL=links.name_database(own_link)):
        job_id = linked.client().order(**LONG)
        _await_beat(linked, job_id)
        own_link.refuse()
        until(lambda: _outcomes(linked, job_id) == [Outcome.LOST], "the lease to run out")
        (told,) = linked.attempts(job_id)
        _settle_while_printing(linked, [job_id])
        own_link.heal()
        until(lambda: _outcomes(linked, job_id) == [Outcome.FENCED, Outcome.SUCCEEDED], "the late press to be fenced")
    late, made = linked.attempts(job_id)
    assert (late.outcome, made.outcome, linked.image_count(job_id)) == (Outcome.FENCED, Outcome.SUCCEEDED, 1)
    assert late.gpu_seconds > told.gpu_seconds, "all that it spent is booked, not only what it had told in time"


@pytest.mark.parametrize("is_of_answer", [True, False], ids=["committed", "rolled_back"])
def test_f29_a_commit_whose_outcome_is_unknown_publishes_once(
    linked: Stack, links: Linked, own_link: Proxy, *, is_of_answer: bool
) -> None:
    with press_process.press(linked, **PATIENT, PRESSROOM_DATABASE_URL=links.name_database(own_link)):
        own_link.lose(Loss(b"INSERT INTO images", b"COMMIT", is_of_answer=is_of_answer))
        job_id = linked.client().order()
        _settle_well(linked, [job_id])
        assert own_link.has_lost.is_set()
        _settle_well(linked, [linked.client().order()])
    assert _outcomes(linked, job_id) == [Outcome.SUCCEEDED]
    assert linked.image_count(job_id) == 1


@pytest.mark.parametrize("is_of_answer", [True, False], ids=["committed", "rolled_back"])
def test_f29_a_submission_whose_commit_is_unknown_gets_503_and_is_accepted_once(
    linked: Stack, links: Linked, *, is_of_answer: bool
) -> None:
    headers = {"Idempotency-Key": f"f29-{is_of_answer}"}
    with press_process.api(linked) as client:
        links.database_link.lose(Loss(b"INSERT INTO jobs", b"COMMIT", is_of_answer=is_of_answer))
        refused = client.http.post("/v1/jobs", json=BODY, headers=headers)
        assert (refused.status_code, links.database_link.has_lost.is_set()) == (503, True)
        taken = client.http.post("/v1/jobs", json=BODY, headers=headers)
    assert (taken.status_code, "Idempotency-Replayed" in taken.headers) == (202, is_of_answer)
    linked.client().accepted.append(taken.json()["id"])
    _settle_while_printing(linked, [taken.json()["id"]])


def test_f34_an_unavailable_storage_repeats_the_upload_and_not_the_print(linked: Stack, links: Linked) -> None:
    with press_process.press(linked, **PATIENT):
        links.storage_link.refuse()
        job_id = linked.client().order(num_images=2)
        until(lambda: linked.rows(job_id)[0].progress_step == 2, "the print")
        time.sleep(1)  # the fault's length, not a wait
        links.storage_link.heal()
        _settle_well(linked, [job_id])
    assert _outcomes(linked, job_id) == [Outcome.SUCCEEDED]


def test_f35_a_storage_slower_than_the_lease_does_not_cost_the_press_its_job(linked: Stack, links: Linked) -> None:
    with press_process.press(linked):
        links.storage_link.slow(0.5)
        job_id = linked.client().order()
        _settle_well(linked, [job_id])
    (attempt,) = linked.attempts(job_id)
    assert attempt.ended_at is not None
    assert (attempt.ended_at - attempt.started_at).total_seconds() > linked.settings.lease_seconds


def test_f36_an_upload_that_is_cut_off_is_repeated(linked: Stack, links: Linked) -> None:
    with press_process.press(linked, **PATIENT):
        links.storage_link.cut_after(2_000)
        job_id = linked.client().order()
        _settle_well(linked, [job_id])
        assert links.storage_link.has_lost.is_set()
    assert _outcomes(linked, job_id) == [Outcome.SUCCEEDED]
