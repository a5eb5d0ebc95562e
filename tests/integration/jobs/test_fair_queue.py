"""Many jobs at once are queued as if one after the other, on both databases."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, inspect, select

from common.db.engine import Database
from common.db.ids import create_id
from common.jobs import lifecycle
from common.jobs.spec import JobSpec
from common.states.jobs import Priority
from common.states.webhooks import EventType
from common.tables import Job
from tests.conftest import empty
from tests.support import factories

CAMPAIGN = create_id()
COLUMNS = [column.key for column in inspect(Job).column_attrs]
MIXED: list[tuple[str, dict[str, Any]]] = [
    ("ada", {"request": {"num_images": 4}}),
    ("grace", {}),
    ("ada", {"priority": Priority.BULK}),
    ("ada", {"request": {"num_images": 2}}),
    ("ada", {"campaign_id": CAMPAIGN, "priority": Priority.BULK, "request": {"num_images": 3}}),
    ("grace", {}),
    ("ada", {"campaign_id": CAMPAIGN, "priority": Priority.BULK}),
    ("ada", {}),
]


def _submit_all(database: Database, orders: list[JobSpec], max_queued: int = 100) -> dict[UUID, Job]:
    with database.transaction() as session:
        return lifecycle.submit_jobs(session, orders, max_queued)


def _tags_of_mix(database: Database, *, together: bool) -> list[int]:
    """Queue the mix behind others, at once or one after the other, and return the tags that it got."""
    empty(database.url.render_as_string(hide_password=False))
    for owner in ("ada", "ada", "bob"):
        factories.submit(database, owner)
    orders = [factories.job_spec(owner, **changes) for owner, changes in MIXED]
    for some in [orders] if together else [[order] for order in orders]:
        _submit_all(database, some)
    with database.reading() as session:
        tags = {row.id: row.fair_tag for row in session.execute(select(Job.id, Job.fair_tag))}
    return [tags[order.id] for order in orders]


def test_jobs_submitted_together_get_the_same_tags_as_one_by_one(database: Database) -> None:
    assert _tags_of_mix(database, together=True) == [2, 0, 0, 6, 0, 1, 3, 8]
    assert _tags_of_mix(database, together=False) == [2, 0, 0, 6, 0, 1, 3, 8]


def test_jobs_beyond_the_queue_limit_are_refused_without_affecting_others(database: Database) -> None:
    factories.submit(database, "ada", max_queued=2)
    orders = [factories.job_spec(owner) for owner in ("ada", "ada", "grace", "ada")]
    made = _submit_all(database, orders, max_queued=2)
    assert list(made) == [orders[0].id, orders[2].id]
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 3


def test_campaign_jobs_do_not_count_towards_the_queue_limit(database: Database) -> None:
    orders = [factories.job_spec("ada", campaign_id=CAMPAIGN, recipient_id=str(row)) for row in range(3)]
    assert len(_submit_all(database, orders, max_queued=0)) == 3
    assert len(_submit_all(database, [factories.job_spec("ada")], max_queued=1)) == 1


def test_the_returned_jobs_equal_the_stored_ones(database: Database) -> None:
    order = factories.job_spec(
        "ada",
        campaign_id=CAMPAIGN,
        recipient_id="17",
        style_version="house@3",
        palette=["#ff0000"],
        max_amount=Decimal("0.25"),
        annotations={"row": "17"},
        deadline_seconds=60,
        webhook_url="https://hook.example/",
        webhook_events=[EventType.JOB_SUCCEEDED],
    )
    made = _submit_all(database, [order])[order.id]
    stored = factories.read(database, order.id)
    assert {name: getattr(stored, name) for name in COLUMNS} == {name: getattr(made, name) for name in COLUMNS}
    assert (stored.recipient_id, stored.annotations, stored.max_amount) == ("17", {"row": "17"}, Decimal("0.25"))
