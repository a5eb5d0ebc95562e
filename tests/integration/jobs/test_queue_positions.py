"""How many are before a new job: counted for many at once as for each by itself, on both databases."""

from common.db.engine import Database
from common.jobs import fair_queue, lifecycle
from common.states.jobs import Priority
from tests.support import factories


def test_positions_counted_together_equal_those_counted_one_by_one(database: Database) -> None:
    for owner in "abc":
        for _ in range(3):
            factories.submit(database, owner, request={"num_images": 2})
    factories.submit(database, "a", priority=Priority.BULK)
    owners = "adcdab"
    orders = [
        factories.job_spec(owner, priority=priority, request={"model": model})
        for owner, priority in zip(owners, [*Priority] * 3, strict=True)
        for model in ("painted", "another")
    ]
    with database.transaction() as session:
        made = lifecycle.submit_jobs(session, orders, 100)
        counts = fair_queue.count_jobs_ahead_of_each(session, made.values())
        assert counts == {job_id: fair_queue.count_jobs_ahead(session, job) for job_id, job in made.items()}
    assert len(set(counts.values())) > 4


def test_counting_stops_at_a_thousand(database: Database) -> None:
    with database.transaction() as session:
        lifecycle.submit_jobs(session, [factories.job_spec("ada") for _ in range(fair_queue.FARTHEST - 1)], 10_000)
        last = lifecycle.submit_jobs(session, [factories.job_spec("ada") for _ in range(3)], 10_000)
        assert [*fair_queue.count_jobs_ahead_of_each(session, last.values()).values()] == [999, 1000, 1000]
        later = lifecycle.submit_jobs(session, [factories.job_spec("ada") for _ in range(2)], 10_000)
        assert [*fair_queue.count_jobs_ahead_of_each(session, later.values()).values()] == [1000, 1000]
