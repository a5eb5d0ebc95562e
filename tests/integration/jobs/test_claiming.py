"""Which job is next, on both databases."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from common.db.engine import Database
from common.jobs import fair_queue, lifecycle
from common.jobs.attempts import Spent
from common.states.jobs import JobStatus, Priority
from common.tables import Job
from tests.support import factories
from tests.support.factories import MODEL, image_request

WARM = image_request().lane
COLD = image_request(width=128).lane


def _drain(database: Database, press: UUID, **changes: object) -> list[str]:
    """Claim all that is due, one after the other, and return the owners in that order."""
    owners = []
    while (held := factories.claim(database, press, **changes)) is not None:
        owners.append(held.owner)
    return owners


def test_an_empty_queue_gives_nothing(database: Database) -> None:
    assert factories.claim(database, factories.press(database)) is None


def test_interactive_work_goes_before_bulk_whenever_it_was_submitted(database: Database) -> None:
    bulk = [factories.submit(database, "ada", priority=Priority.BULK).id for _ in range(3)]
    interactive = [factories.submit(database, "grace").id for _ in range(2)]
    press = factories.press(database)
    claimed = [held.job_id for _ in range(5) if (held := factories.claim(database, press))]
    assert claimed == [*interactive, *bulk]


def test_a_press_is_given_only_what_its_models_can_print(database: Database) -> None:
    factories.submit(database, request={"model": "another"})
    press = factories.press(database)
    assert factories.claim(database, press) is None
    assert factories.claim(database, press, models=(MODEL, "another")) is not None


def test_a_job_that_is_not_due_yet_waits(database: Database) -> None:
    job = factories.submit(database)
    factories.age(database, job.id, "due_at", timedelta(seconds=-60))
    later = factories.submit(database)
    press = factories.press(database)
    held = factories.claim(database, press)
    assert held is not None
    assert held.job_id == later.id
    assert factories.claim(database, press) is None


@pytest.mark.parametrize(
    "submitted", ["a" * 10 + "g" * 10, "g" * 10 + "a" * 10, "ag" * 10], ids=["ada-first", "grace-first", "in-turns"]
)
def test_two_owners_share_fairly_whatever_the_order_of_submission(database: Database, submitted: str) -> None:
    for owner in submitted:
        factories.submit(database, owner)
    order = _drain(database, factories.press(database))
    assert len(order) == 20
    for length in range(1, 21):
        served = order[:length]
        assert abs(served.count("a") - served.count("g")) <= 1, order


def test_an_owner_who_comes_late_does_not_wait_for_the_whole_queue_of_another(database: Database) -> None:
    press = factories.press(database)
    for _ in range(20):
        factories.submit(database, "ada")
    for _ in range(5):
        factories.claim(database, press)
    for _ in range(3):
        factories.submit(database, "grace")
    order = _drain(database, press)
    assert order[:6].count("grace") == 3, order


def test_an_idle_owner_saves_up_no_share(database: Database) -> None:
    press = factories.press(database)
    for _ in range(10):
        factories.submit(database, "ada")
    for _ in range(9):
        factories.claim(database, press)
    for _ in range(10):
        factories.submit(database, "ada")
        factories.submit(database, "grace")
    order = _drain(database, press)
    assert 3 <= order[:10].count("ada") <= 7, order


def test_shares_are_counted_in_images_not_in_jobs(database: Database) -> None:
    for _ in range(4):
        factories.submit(database, "ada", request={"num_images": 4})
    for _ in range(16):
        factories.submit(database, "grace", request={"num_images": 1})
    order = _drain(database, factories.press(database))
    first = order[:10]
    assert first.count("ada") == 2, order
    assert first.count("grace") == 8, order


def test_each_job_is_queued_behind_the_previous_one_by_its_number_of_images(database: Database) -> None:
    for size in (1, 4, 2):
        factories.submit(database, "ada", priority=Priority.BULK, request={"num_images": size})
    with database.reading() as session:
        assert list(session.scalars(select(Job.fair_tag).order_by(Job.id))) == [0, 1, 5]


def test_each_priority_is_shared_fairly_on_its_own(database: Database) -> None:
    for _ in range(5):
        factories.submit(database, "ada")
    bulk = factories.submit(database, "ada", priority=Priority.BULK)
    assert bulk.fair_tag == 0


def test_the_warm_lane_is_preferred(database: Database) -> None:
    cold = factories.submit(database, request={"width": 128})
    warm = factories.submit(database)
    press = factories.press(database)
    first = factories.claim(database, press, warm_lanes=[WARM])
    second = factories.claim(database, press, warm_lanes=[WARM])
    assert first is not None
    assert second is not None
    assert (first.job_id, second.job_id) == (warm.id, cold.id)


def test_the_warm_lane_is_preferred_within_a_bound(database: Database) -> None:
    cold = factories.submit(database, request={"width": 128})
    factories.submit(database)
    past = fair_queue.WARM_LANE_PATIENCE + timedelta(seconds=1)
    factories.age(database, cold.id, "created_at", past)
    factories.age(database, cold.id, "due_at", past)
    held = factories.claim(database, factories.press(database), warm_lanes=[WARM])
    assert held is not None
    assert held.job_id == cold.id


def test_a_warm_lane_without_work_holds_nothing_up(database: Database) -> None:
    cold = factories.submit(database, request={"width": 128})
    held = factories.claim(database, factories.press(database), warm_lanes=[WARM])
    assert held is not None
    assert held.job_id == cold.id


def test_a_warm_lane_does_not_put_bulk_before_interactive(database: Database) -> None:
    factories.submit(database, priority=Priority.BULK)
    cold = factories.submit(database, request={"width": 128})
    held = factories.claim(database, factories.press(database), warm_lanes=[WARM])
    assert held is not None
    assert held.job_id == cold.id


def test_a_job_that_comes_back_keeps_its_place(database: Database) -> None:
    press = factories.press(database)
    jobs_of_ada = [factories.submit(database, "ada").id for _ in range(3)]
    held = factories.claim(database, press)
    assert held is not None
    with database.transaction() as session:
        lifecycle.release_job(session, held, Spent())
    again = factories.claim(database, press)
    assert again is not None
    assert again.job_id == jobs_of_ada[0]
    assert factories.read(database, jobs_of_ada[1]).status is JobStatus.QUEUED
