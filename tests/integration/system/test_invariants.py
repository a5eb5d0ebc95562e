"""The invariants themselves: each broken promise is noticed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from common.db.ids import create_id
from common.errors import ObjectMissingError
from common.jobs import lifecycle
from common.states.jobs import JobStatus, Outcome
from common.states.webhooks import TERMINAL_EVENTS
from common.tables import Attempt, Image, Job, Likeness, Press, WebhookMessage
from tests.support import factories
from tests.support.press_fixture import PressFixture
from tests.support.webhook_fixture import WebhookFixture
from worker.press import runner


def _change(*statements: Any) -> Callable[[PressFixture], None]:
    def change(press_fixture: PressFixture) -> None:
        with press_fixture.database.transaction() as session:
            factories.lift_guards(session)
            for statement in statements:
                session.execute(statement)

    return change


def _lose_an_object(press_fixture: PressFixture) -> None:
    press_fixture.storage.delete(next(iter(press_fixture.storage.list_keys(""))))


def _exchange_an_object(press_fixture: PressFixture) -> None:
    for key in list(press_fixture.storage.list_keys("")):
        press_fixture.storage.put(key, b"something else", "image/png")


def _leave_an_object(press_fixture: PressFixture) -> None:
    key = next(iter(press_fixture.storage.list_keys("")))
    press_fixture.storage.put(f"{key.rpartition('/')[0]}/9-left.png", b"left", "image/png")


def _order_unseen(press_fixture: PressFixture) -> None:
    factories.submit(press_fixture.database)


def _tell_twice(press_fixture: PressFixture) -> None:
    with press_fixture.database.transaction() as session:
        (message,) = session.query(WebhookMessage)
        columns = {column.key: getattr(message, column.key) for column in WebhookMessage.__table__.columns}
        session.add(WebhookMessage(**columns | {"id": create_id()}))


BROKEN: dict[str, Callable[[PressFixture], None]] = {
    "a job that never ended": _order_unseen,
    "a job that ended without its images": _change(delete(Likeness), delete(Image)),
    "an image too few": _change(delete(Likeness), delete(Image).where(Image.position == 1)),
    "an image of a job that failed": _change(update(Job).values(status=JobStatus.FAILED, error_code="x")),
    "an image of another attempt": _change(update(Image).values(attempt=2)),
    "an image of another owner": _change(update(Image).values(owner="grace")),
    "an attempt without its row": _change(update(Job).values(attempt=2)),
    "an attempt that is still open": _change(update(Attempt).values(ended_at=None)),
    "an end that does not fit": _change(update(Attempt).values(outcome=Outcome.LOST)),
    "a lease that was not given up": _change(update(Job).values(lease_until=Job.finished_at)),
    "seconds that nobody booked": _change(update(Press).values(busy_seconds=Press.busy_seconds + 1)),
    "seconds booked twice": _change(update(Image).values(gpu_seconds=Image.gpu_seconds + 1)),
    "an end that nobody was told of": _change(delete(WebhookMessage)),
    "an end that was told otherwise": _change(update(WebhookMessage).values(event="job.failed")),
    "an end that was told twice": _tell_twice,
    "a try without its row": _change(update(WebhookMessage).values(tries=1)),
    "a lost object": _lose_an_object,
    "an exchanged object": _exchange_an_object,
    "an object without a row": _leave_an_object,
}


@pytest.fixture
def printed(press_fixture: PressFixture) -> PressFixture:
    """A press that has printed one job of two images and reported it to a webhook."""
    WebhookFixture(press_fixture.database).subscribe("https://hooks.example/", events=TERMINAL_EVENTS)
    factories.submit(press_fixture.database, request={"num_images": 2})
    with press_fixture.press() as press:
        runner.run_next_job(press)
    press_fixture.check()
    return press_fixture


@pytest.mark.parametrize("broken", BROKEN, ids=lambda name: name.replace(" ", "-"))
def test_a_broken_invariant_is_detected(printed: PressFixture, broken: str) -> None:
    BROKEN[broken](printed)
    with pytest.raises((AssertionError, ObjectMissingError)):
        printed.check()


def test_objects_left_by_a_lost_attempt_violate_no_invariant(printed: PressFixture) -> None:
    held = factories.running(printed.database)
    printed.storage.put(f"owners/ada/jobs/{held.job_id}/a1/0-left.png", b"left", "image/png")
    factories.age(printed.database, held.job_id, "lease_until", timedelta(seconds=1))
    with printed.database.transaction() as session:
        lifecycle.requeue_lost_jobs(session, 3)
    with printed.press() as press:
        runner.run_next_job(press)
    printed.check()
