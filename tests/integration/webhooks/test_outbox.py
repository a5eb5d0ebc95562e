"""What webhooks are to tell is owed in the transaction that makes it true, on both databases."""

import json
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from common.db.engine import Database
from common.errors import FencedError, GenerationError, OutOfMemoryError
from common.jobs import lifecycle
from common.jobs.attempts import Spent
from common.states.jobs import ImageStatus, JobStatus, compute_job_version
from common.states.webhooks import JOB_EVENTS, TERMINAL_EVENTS, DisabledReason, EventType, MessageState
from common.tables import WebhookEndpoint
from common.tables.webhooks import DIRECT_URL
from common.webhooks import endpoints
from tests.support import factories
from tests.support.webhook_fixture import WebhookFixture, read

HOOK = "https://hooks.example/a"
SPENT = Spent(gpu_seconds=1.0)


def succeed(session: Session, database: Database, job_id: UUID) -> None:
    held = _held(job_id)
    lifecycle.succeed_job(session, held, factories.images(held), SPENT)


def block(session: Session, database: Database, job_id: UUID) -> None:
    held = _held(job_id)
    lifecycle.block_job(session, held, factories.images(held, ImageStatus.BLOCKED), SPENT)


def fail(session: Session, database: Database, job_id: UUID) -> None:
    lifecycle.fail_job(session, _held(job_id), GenerationError("It broke."), SPENT)


def cancel(session: Session, database: Database, job_id: UUID) -> None:
    lifecycle.cancel_job(session, session.get_one(lifecycle.Job, job_id))


def expire(session: Session, database: Database, job_id: UUID) -> None:
    assert lifecycle.expire_due_jobs(session) == 1


def lose(session: Session, database: Database, job_id: UUID) -> None:
    assert lifecycle.requeue_lost_jobs(session, max_strikes=1) == (0, 1)


MOVES: dict[EventType, list[Callable[[Session, Database, UUID], None]]] = {
    EventType.JOB_SUCCEEDED: [succeed],
    EventType.JOB_FAILED: [block, fail, lose],
    EventType.JOB_CANCELED: [cancel],
    EventType.JOB_EXPIRED: [expire],
}
CASES = [(event, move) for event, moves in MOVES.items() for move in moves]

_claims: dict[UUID, lifecycle.Claim] = {}


def _held(job_id: UUID) -> lifecycle.Claim:
    return _claims[job_id]


def running(database: Database, **changes: object) -> UUID:
    """Return a job that a press holds, whose lease and deadline have passed."""
    held = factories.running(database, **changes)
    _claims[held.job_id] = held
    factories.age(database, held.job_id, "lease_until", timedelta(seconds=1))
    factories.age(database, held.job_id, "deadline_at", timedelta(seconds=1))
    return held.job_id


@pytest.mark.parametrize(("event", "move"), CASES, ids=[move.__name__ for _, move in CASES])
def test_each_outcome_of_a_job_is_queued_for_each_subscribed_endpoint(
    webhook_fixture: WebhookFixture, event: EventType, move: Callable[[Session, Database, UUID], None]
) -> None:
    every, _ = webhook_fixture.subscribe(HOOK)
    ending, _ = webhook_fixture.subscribe(HOOK + "b", events=TERMINAL_EVENTS)
    webhook_fixture.subscribe(HOOK + "c", events=[other for other in JOB_EVENTS if other is not event])
    webhook_fixture.subscribe(HOOK, owner="grace")
    job_id = running(webhook_fixture.database)
    with webhook_fixture.database.transaction() as session:
        move(session, webhook_fixture.database, job_id)
    told = [message for message in webhook_fixture.messages() if message.event == event]
    assert {message.endpoint_id for message in told} == {every, ending}
    assert len({message.id for message in told}) == 2, "an id each"
    assert len({message.body for message in told}) == 1
    job = factories.read(webhook_fixture.database, job_id)
    assert {message.job_id for message in told} == {job_id}
    body = json.loads(told[0].body)
    assert body["type"] == event
    assert body["timestamp"] == job.finished_at.isoformat().replace("+00:00", "Z")
    assert (body["data"]["id"], body["data"]["status"]) == (str(job_id), job.status)
    assert (body["data"]["error"] or {"code": None})["code"] == job.error_code


@pytest.mark.parametrize(("event", "move"), CASES, ids=[move.__name__ for _, move in CASES])
def test_a_rolled_back_transition_queues_no_message(
    webhook_fixture: WebhookFixture, event: EventType, move: Callable[[Session, Database, UUID], None]
) -> None:
    webhook_fixture.subscribe(HOOK, events=TERMINAL_EVENTS)
    job_id = running(webhook_fixture.database)
    with webhook_fixture.database.transaction() as session:
        move(session, webhook_fixture.database, job_id)
        session.rollback()
    assert webhook_fixture.messages() == []
    assert not factories.read(webhook_fixture.database, job_id).status.is_terminal


def test_a_job_without_subscribers_queues_no_message(webhook_fixture: WebhookFixture) -> None:
    endpoint_id, _ = webhook_fixture.subscribe(HOOK)
    webhook_fixture.ensure_direct_endpoint()
    with webhook_fixture.database.transaction() as session:
        endpoints.disable_endpoint(session, session.get_one(WebhookEndpoint, endpoint_id), DisabledReason.OWNER)
    job_id = running(webhook_fixture.database)
    with webhook_fixture.database.transaction() as session:
        succeed(session, webhook_fixture.database, job_id)
    assert webhook_fixture.messages() == []


def test_a_press_that_comes_too_late_queues_no_message(webhook_fixture: WebhookFixture) -> None:
    webhook_fixture.subscribe(HOOK, events=TERMINAL_EVENTS)
    job_id = running(webhook_fixture.database)
    with webhook_fixture.database.transaction() as session:
        assert lifecycle.requeue_lost_jobs(session, max_strikes=3) == (1, 0)
    with pytest.raises(FencedError), webhook_fixture.database.transaction() as session:
        succeed(session, webhook_fixture.database, job_id)
    assert webhook_fixture.messages() == []


def test_a_requeued_job_reports_only_its_starts(webhook_fixture: WebhookFixture) -> None:
    webhook_fixture.subscribe(HOOK)
    press_id = factories.press(webhook_fixture.database)
    held = factories.running(webhook_fixture.database, press_id)
    with webhook_fixture.database.transaction() as session:
        lifecycle.fail_job(session, held, OutOfMemoryError(), SPENT)
    factories.make_due(webhook_fixture.database, held.job_id)
    again = factories.claim(webhook_fixture.database, press_id)
    assert again is not None
    with webhook_fixture.database.transaction() as session:
        lifecycle.release_job(session, again, SPENT)
    assert webhook_fixture.told() == [("ada", "job.started")] * 2
    assert [read(message)["attempt"] for message in webhook_fixture.messages()] == [1, 2]


def test_a_sweep_queues_a_message_for_the_owner_of_each_job(webhook_fixture: WebhookFixture) -> None:
    for owner in ("ada", "grace", "ada", "alan"):
        running(webhook_fixture.database, owner=owner)
    for owner in ("ada", "grace"):
        webhook_fixture.subscribe(HOOK, owner=owner)
    with webhook_fixture.database.transaction() as session:
        assert lifecycle.expire_due_jobs(session) == 4
    assert sorted(webhook_fixture.told()) == [("ada", "job.expired")] * 2 + [("grace", "job.expired")]


def test_a_job_may_name_a_receiver_of_its_own(webhook_fixture: WebhookFixture) -> None:
    endpoint_id, _ = webhook_fixture.subscribe(HOOK, events=[EventType.JOB_SUCCEEDED])
    webhook_fixture.ensure_direct_endpoint()
    webhook_fixture.ensure_direct_endpoint()
    own = "https://own.example/x"
    for events in (None, [EventType.JOB_STARTED], [EventType.JOB_STARTED, EventType.JOB_SUCCEEDED]):
        job_id = running(webhook_fixture.database, webhook_url=own, webhook_events=events)
        with webhook_fixture.database.transaction() as session:
            succeed(session, webhook_fixture.database, job_id)
    told = webhook_fixture.messages()
    assert [message.event for message in told if message.endpoint_id == endpoint_id] == ["job.succeeded"] * 3
    direct = [message for message in told if message.endpoint_id != endpoint_id]
    assert [message.event for message in direct] == ["job.succeeded", "job.started", "job.started", "job.succeeded"]
    assert {message.url for message in direct} == {own}
    assert {webhook_fixture.endpoint(message.endpoint_id).url for message in direct} == {DIRECT_URL}
    assert len({message.destination for message in direct}) == 1


def test_a_message_contains_images_and_cost_but_no_links(webhook_fixture: WebhookFixture) -> None:
    webhook_fixture.subscribe(HOOK, events=TERMINAL_EVENTS)
    job_id = running(webhook_fixture.database, request={"num_images": 2}, annotations={"order": "17"})
    with webhook_fixture.database.transaction() as session:
        succeed(session, webhook_fixture.database, job_id)
    (message,) = webhook_fixture.messages()
    data = read(message)
    assert len({image["id"] for image in data["images"]}) == 2
    assert {image["amount"] for image in data["images"]} == {"0.000166667"}
    assert data["cost"] == {"gpu_seconds": 2.0, "amount": "0.000333334", "currency": "USD"}
    assert data["metadata"] == {"order": "17"}
    assert b"http" not in message.body
    assert b"lighthouse" not in message.body, "prompts stay here"


def test_a_message_stays_small_whatever_the_job_carries(webhook_fixture: WebhookFixture) -> None:
    webhook_fixture.subscribe(HOOK, events=TERMINAL_EVENTS)
    heavy = {f"{'k' * 60}{number}": "☃" * 512 for number in range(32)}
    job_id = running(webhook_fixture.database, request={"num_images": 100}, annotations=heavy)
    with webhook_fixture.database.transaction() as session:
        succeed(session, webhook_fixture.database, job_id)
    (message,) = webhook_fixture.messages()
    assert len(message.body) < 20_000
    assert len(read(message)["images"]) == 100
    assert read(message)["metadata"] is None


def test_the_version_grows_with_every_transition() -> None:
    life = [(JobStatus.QUEUED, 0), (JobStatus.RUNNING, 1), (JobStatus.QUEUED, 1), (JobStatus.RUNNING, 2)]
    for end in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED):
        versions = [compute_job_version(*step) for step in [*life, (end, 2)]]
        assert versions == sorted(set(versions))
    assert compute_job_version(JobStatus.CANCELED, 1) > compute_job_version(JobStatus.QUEUED, 1)


def test_an_endpoint_may_be_deleted_while_jobs_end(webhook_fixture: WebhookFixture) -> None:
    faults: list[Exception] = []
    for _ in range(10):
        endpoint_id, _ = webhook_fixture.subscribe(HOOK)
        job_id = running(webhook_fixture.database)
        barrier = Barrier(2)

        def end(job_id: UUID = job_id, barrier: Barrier = barrier) -> None:
            barrier.wait()
            try:
                with webhook_fixture.database.transaction() as session:
                    succeed(session, webhook_fixture.database, job_id)
            except Exception as error:  # noqa: BLE001  (told below)
                faults.append(error)

        thread = Thread(target=end)
        thread.start()
        barrier.wait()
        with webhook_fixture.database.transaction() as session:
            row = endpoints.find_endpoint(session, "ada", endpoint_id, to_change=True)
            assert row is not None
            endpoints.delete_endpoint(session, row)
        thread.join()
        assert factories.read(webhook_fixture.database, job_id).status is JobStatus.SUCCEEDED
    assert faults == []
    assert webhook_fixture.messages() == []


def test_messages_to_a_failing_endpoint_wait_as_long_as_its_pause(webhook_fixture: WebhookFixture) -> None:
    endpoint_id, _ = webhook_fixture.subscribe(HOOK)
    resume_at = webhook_fixture.endpoint(endpoint_id).created_at + timedelta(minutes=5)
    with webhook_fixture.database.transaction() as session:
        session.get_one(WebhookEndpoint, endpoint_id).resume_at = resume_at
    running(webhook_fixture.database)
    (message,) = webhook_fixture.messages()
    assert (message.state, message.next_at) == (MessageState.PENDING, resume_at)
