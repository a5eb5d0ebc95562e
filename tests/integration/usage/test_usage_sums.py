"""Whatever is booked to the sums, usage is what the attempts themselves say; on both databases."""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from common.clock import utcnow
from common.db.engine import Database
from common.db.ids import create_id
from common.jobs import attempts, lifecycle
from common.jobs.attempts import Spent
from common.states.jobs import ImageStatus, JobStatus, Outcome, Priority, Verdict
from common.tables import Attempt, Image, Job, PressUsageSum, UsageSum
from common.usage import booking, operator_report, owner_usage, sources
from common.usage.owner_usage import GroupBy
from common.usage.usage import ROUNDING, Usage, was_delivered
from tests.support import factories
from tests.support.aging import make_key

NOON = utcnow().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=4)
OWNERS, MODELS = ("ada", "bob"), ("painted", "starter-1")
ENDED = [outcome for outcome in Outcome if outcome not in (Outcome.RUNNING, Outcome.SUCCEEDED)]
MOMENTS = [timedelta(0), timedelta(microseconds=-1), timedelta(hours=-12), timedelta(hours=12, microseconds=1)]


def book(database: Database, most: int = 1000) -> int:
    with database.transaction() as session:
        return booking.book_attempts(session, most)


class History:
    """Jobs of two owners with attempts and images, made by chance."""

    def __init__(self, database: Database, seed: int) -> None:
        self.database = database
        self.chance = Random(seed)
        self.presses = [factories.press(database, started_at=NOON - timedelta(days=9)) for _ in range(2)]
        self.keys = [None, *(make_key(database, owner) for owner in OWNERS)]

    def choose_moment(self) -> datetime:
        if self.chance.random() < 0.2:
            return NOON + self.chance.choice(MOMENTS)
        return NOON + timedelta(hours=self.chance.uniform(-40, 40))

    def add_jobs(self, count: int) -> None:
        with self.database.transaction() as session:
            factories.lift_guards(session)
            for _ in range(count):
                job = self._make_job()
                session.add(job)
                session.flush()
                session.add_all(self._make_attempts(job))
                session.flush()
                session.add_all(self._make_images(job))

    def _make_job(self) -> Job:
        spec = factories.job_spec(
            self.chance.choice(OWNERS), key_id=self.chance.choice(self.keys), priority=self.chance.choice([*Priority])
        )
        status = self.chance.choice([*JobStatus, JobStatus.SUCCEEDED, JobStatus.SUCCEEDED])
        values = {"status": status, "attempt": self.chance.randint(1, 3), "model": self.chance.choice(MODELS)}
        return Job(**(spec.to_row(0, NOON) | values))

    def _make_attempts(self, job: Job) -> list[Attempt]:
        last = {JobStatus.RUNNING: Outcome.RUNNING, JobStatus.SUCCEEDED: Outcome.SUCCEEDED}
        outcomes = [self.chance.choice(ENDED) for _ in range(job.attempt)]
        outcomes[-1] = last.get(job.status, outcomes[-1])
        return [
            Attempt(
                job_id=job.id,
                number=number,
                press_id=self.chance.choice(self.presses),
                started_at=self.choose_moment(),
                outcome=outcome,
                # At least what its images took.
                gpu_seconds=self.chance.uniform(4, 9)
                if outcome is Outcome.SUCCEEDED
                else self.chance.choice([0.0, 0.1]),
            )
            for number, outcome in enumerate(outcomes, 1)
        ]

    def _make_images(self, job: Job) -> list[Image]:
        if job.status is not JobStatus.SUCCEEDED:
            return []
        return [self._make_image(job, position) for position in range(self.chance.randint(1, 3))]

    def _make_image(self, job: Job, position: int) -> Image:
        is_blocked = self.chance.random() < 0.3
        status = ImageStatus.QUARANTINED if is_blocked else ImageStatus.DELIVERED
        return Image(
            job_id=job.id,
            owner=job.owner,
            attempt=job.attempt,
            position=position,
            status=status,
            seed=1,
            width=64,
            height=64,
            storage_key=None if is_blocked else f"a/{create_id()}",
            verdict=Verdict.BLOCK if is_blocked else Verdict.PASS,
            safety={},
            gpu_seconds=self.chance.uniform(0, 1),
            overrun_seconds=self.chance.choice([0.0, 0.25]),
            amount=Decimal(self.chance.randint(0, 10**9)) / 10**9,
            currency=self.chance.choice(["EUR", "USD"]),
        )

    def change_something(self) -> None:
        """Have a press report late, a job end, a reviewer release an image, an owner erase one."""
        with self.database.transaction() as session:
            factories.lift_guards(session)
            late = session.scalars(select(Attempt).where(Attempt.outcome.in_((Outcome.LOST, Outcome.CANCELED)))).all()
            for attempt in self.chance.sample(late, min(3, len(late))):
                held = _Held(attempt.job_id, attempt.number)
                attempts.record_late_spend(session, held, Spent(attempt.gpu_seconds + self.chance.uniform(0, 2)))
            for job in session.scalars(select(Job).where(Job.status == JobStatus.QUEUED).limit(2)).all():
                job.status = JobStatus.CANCELED
            for image in session.scalars(select(Image).limit(20)).all():
                if image.status is ImageStatus.QUARANTINED and self.chance.random() < 0.5:
                    image.status, image.released_at, image.storage_key = ImageStatus.DELIVERED, NOON, "released"
                elif image.status is ImageStatus.DELIVERED:
                    image.status = ImageStatus.ERASED


class _Held:
    """What is needed of a claim to report late."""

    def __init__(self, job_id: UUID, attempt: int) -> None:
        self.job_id, self.attempt = job_id, attempt


def load_rows(database: Database) -> list[tuple[Attempt, Job, list[Image]]]:
    with database.reading() as session:
        images = defaultdict(list)
        for image in session.scalars(select(Image)):
            images[image.job_id, image.attempt].append(image)
        rows = session.execute(select(Attempt, Job).join(Job, Job.id == Attempt.job_id)).all()
        return [(attempt, job, images[job.id, attempt.number]) for attempt, job in rows]


def count_usage(rows: list[tuple[Attempt, Job, list[Image]]]) -> Usage:
    """Add up usage row by row."""
    used, waste = Usage(), defaultdict(float)
    for attempt, _, images in rows:
        used.jobs += attempt.number == 1
        used.attempts += 1
        reason = Outcome.BLOCKED if attempt.outcome is Outcome.SUCCEEDED else attempt.outcome
        if reason is Outcome.RUNNING:
            used.running += attempt.gpu_seconds
        else:
            waste[str(reason)] += attempt.gpu_seconds
        for image in filter(was_delivered, images):
            used.images[image.currency] = used.images.get(image.currency, 0) + 1
            used.amounts[image.currency] = used.amounts.get(image.currency, Decimal(0)) + image.amount
            used.delivered += image.gpu_seconds
            waste["overrun"] += image.overrun_seconds
            waste["blocked"] -= image.gpu_seconds + image.overrun_seconds
    used.waste = {name: seconds for name, seconds in waste.items() if seconds > ROUNDING}
    return used


def check_usage(found: Usage, wanted: Usage) -> None:
    """Compare: numbers and money to the last decimal, seconds as far as sums of floats can be."""
    assert (found.jobs, found.attempts) == (wanted.jobs, wanted.attempts)
    assert (found.images, found.amounts) == (wanted.images, wanted.amounts)
    assert found.delivered == pytest.approx(wanted.delivered, abs=1e-6)
    assert found.running == pytest.approx(wanted.running, abs=1e-6)
    assert found.waste == pytest.approx(wanted.waste, abs=1e-6)


NAMES: dict[GroupBy, Any] = {
    GroupBy.DAY: lambda attempt, job: f"{attempt.started_at:%Y-%m-%d}",
    GroupBy.MODEL: lambda attempt, job: job.model,
    GroupBy.STATUS: lambda attempt, job: str(job.status),
    GroupBy.PRIORITY: lambda attempt, job: str(job.priority),
}


def check_reports(history: History) -> None:
    """Compare reports on spans made by chance with the attempts themselves."""
    rows = load_rows(history.database)
    spans = [sorted((history.choose_moment(), history.choose_moment())) for _ in range(1)]
    for since, until in [*spans, list(operator_report.WHOLE_TIME)]:
        began = [row for row in rows if since <= row[0].started_at < until]
        with history.database.reading() as session:
            for owner in OWNERS:
                own = [row for row in began if row[1].owner == owner]
                check_usage(owner_usage.load_usage(session, owner, since, until), count_usage(own))
                for group_by, name in NAMES.items():
                    found = owner_usage.load_usage_by_group(session, owner, since, until, group_by)
                    assert [*found] == sorted({name(attempt, job) for attempt, job, _ in own})
                    for group, used in found.items():
                        check_usage(used, count_usage([row for row in own if name(row[0], row[1]) == group]))
                by_key = owner_usage.load_usage_by_group(session, owner, since, until, GroupBy.KEY)
                check_usage(sum(by_key.values(), Usage()), count_usage(own))
            for press, account in operator_report.build_operator_report(session, since, until).presses:
                check_usage(account.ledger, count_usage([row for row in began if row[0].press_id == press.id]))


@pytest.mark.parametrize("kept", [timedelta(days=90), timedelta(days=4)])
def test_reports_are_the_same_before_in_the_middle_of_and_after_booking(
    database: Database, kept: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "HOURS_KEPT", kept)
    monkeypatch.setattr(booking, "MARGIN", timedelta(0))
    history = History(database, kept.days)
    history.add_jobs(40)
    check_reports(history)
    for most in (7, 25, 1000):
        book(database, most)
        check_reports(history)
        history.change_something()
        history.add_jobs(5)
        check_reports(history)
    assert book(database) > 0
    assert book(database) == 0
    with database.transaction() as session:
        booking.delete_old_hours(session)
    check_reports(history)


def test_sums_hold_nothing_that_can_still_change(database: Database) -> None:
    held = factories.running(database)
    with database.transaction() as session:
        lifecycle.release_job(session, held, Spent(gpu_seconds=1.0))
    assert book(database) == 0, "its job is queued again"
    with database.transaction() as session:
        lifecycle.cancel_job(session, session.get_one(Job, held.job_id))
    assert book(database) == 1
    assert book(database) == 0


def test_an_attempt_that_reports_late_is_booked_again_and_counts_once(database: Database) -> None:
    held = factories.running(database)
    with database.transaction() as session:
        lifecycle.cancel_job(session, session.get_one(Job, held.job_id))
    assert book(database) == 1
    with database.transaction() as session:
        attempts.record_late_spend(session, held, Spent(gpu_seconds=4.0))
    assert book(database) == 1
    with database.reading() as session:
        for table in (UsageSum, PressUsageSum):
            day = select(func.sum(table.attempts), func.sum(table.gpu_seconds)).where(table.unit == "day")
            assert session.execute(day).one() == (1, 4.0)


def test_two_clerks_book_each_attempt_once(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    history = History(database, seed=9)
    history.add_jobs(60)
    with ThreadPoolExecutor(4) as pool:
        done = sum(pool.map(lambda _: book(database, 10), range(40)))
    with database.reading() as session:
        booked = session.scalar(select(func.count()).select_from(Attempt).where(Attempt.is_booked))
    assert done == booked
    check_reports(history)
    database.close()


def test_a_clerk_that_dies_half_way_has_booked_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(database, seed=5)
    history.add_jobs(10)

    def fail(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(booking, "_mark_booked", fail)
        with pytest.raises(RuntimeError):
            book(database)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(UsageSum)) == 0
    check_reports(history)


def test_an_attempt_is_unbooked_only_by_a_change(database: Database) -> None:
    held = factories.running(database)
    with database.transaction() as session:
        lifecycle.cancel_job(session, session.get_one(Job, held.job_id))
    book(database)
    with database.transaction() as session:
        session.execute(update(Attempt).values(collected_at=utcnow()))
    assert book(database) == 0
