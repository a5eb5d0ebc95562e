"""A state machine of jobs: whatever presses, owners and time do, the guarantees hold after each step.

Presses are lists of claims here; a pause, a crash, a lost commit are what they look like to the database.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from common.db.clock import now_sql
from common.db.engine import Database
from common.errors import FencedError, GenerationError, IllegalTransitionError, InvalidPictureError
from common.jobs import attempts, idempotency, lifecycle
from common.jobs.attempts import Claim, ClaimProgress, Spent
from common.jobs.idempotency import Reservation
from common.states.jobs import ImageStatus, JobStatus, Outcome
from common.states.webhooks import EVENT_OF_STATUS, EventType
from common.tables import Attempt, Image, Job, WebhookEndpoint, WebhookMessage
from tests.conftest import empty
from tests.support import factories, invariants

TOLD, UNTOLD = "ada", "grace"
"""Two owners: one has a webhook for everything, the other has none."""

MOST_OPEN = 2
"""Jobs at most that are made while others are open: few, so that everything happens to the same."""

PAST = timedelta(seconds=1)
PICK = st.integers(0, 999)
PRESS = st.integers(0, 2)
THOROUGH = settings(
    max_examples=25,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


Ending = Callable[[Session, Claim, Spent], object]

ENDINGS: dict[str, Ending] = {
    "succeed": lambda session, held, spent: lifecycle.succeed_job(session, held, factories.images(held), spent),
    "block": lambda session, held, spent: lifecycle.block_job(
        session, held, factories.images(held, ImageStatus.BLOCKED), spent
    ),
    "fail for good": lambda session, held, spent: lifecycle.fail_job(session, held, GenerationError(), spent),
    "fail for now": lambda session, held, spent: lifecycle.fail_job(session, held, InvalidPictureError(), spent),
    "release": lifecycle.release_job,
}


class Jobs(RuleBasedStateMachine):
    """The database under test, and beside it what must be true of it."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        empty(self.database.url.render_as_string(hide_password=False))
        self.presses = [factories.press(self.database) for _ in range(3)]
        with self.database.transaction() as session:
            endpoint = WebhookEndpoint(owner=TOLD, url="https://hook.example/", events=[*map(str, EventType)])
            endpoint.secret = b"sealed"
            session.add(endpoint)
        self.paused: set[int] = set()
        self.hands: dict[int, list[Claim]] = {number: [] for number in range(3)}
        self.accepted: set[UUID] = set()
        self.keys: dict[str, UUID] = {}
        self.spent: dict[tuple[UUID, int], float] = {}
        self.booked: dict[tuple[UUID, int], float] = {}
        self.ends: dict[UUID, tuple[object, ...]] = {}
        self.counts: dict[UUID, int] = {}
        self.strikes: Counter[UUID] = Counter()

    @initialize(count=st.integers(1, 2))
    def begin(self, count: int) -> None:
        for number in range(count):
            self.submit(TOLD if number else UNTOLD, 1, None)
            self.claim(number % 3)

    # What owners do.

    @precondition(lambda self: len(self.accepted) - len(self.ends) < MOST_OPEN)
    @rule(owner=st.sampled_from([TOLD, UNTOLD]), images=st.integers(1, 2), deadline=st.sampled_from([None, 3600.0]))
    def submit(self, owner: str, images: int, deadline: float | None) -> None:
        job = factories.submit(self.database, owner, request={"num_images": images}, deadline_seconds=deadline)
        self.accepted.add(job.id)

    @rule(key=st.sampled_from("ab"))
    def submit_with_key(self, key: str) -> None:
        order = factories.job_spec(TOLD)
        with self.database.transaction() as session:
            earlier = idempotency.reserve_idempotency_key(session, Reservation(TOLD, key, "digest", order.id), 24)
            if earlier is None:
                lifecycle.submit_job(session, order, 1000)
        assert earlier == self.keys.get(key)
        self.accepted.add(self.keys.setdefault(key, order.id))

    @precondition(lambda self: self.accepted)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        job_id = self._pick_job(pick)
        was_over = factories.read(self.database, job_id).status.is_terminal
        try:
            with self.database.transaction() as session:
                lifecycle.cancel_job(session, session.get_one(Job, job_id))
        except IllegalTransitionError:
            assert was_over
        else:
            assert not was_over

    # What presses do.

    @rule(press=PRESS)
    def claim(self, press: int) -> None:
        if press in self.paused:
            return
        due = self._list_due()
        held = factories.claim(self.database, self.presses[press])
        assert (held is not None) == bool(due), "a press gets a job exactly when one is due"
        if held is not None:
            assert held.job_id in due
            self.hands[press].append(held)
            self._open(held)

    @rule(press=PRESS)
    def beat(self, press: int) -> None:
        if press in self.paused:
            return
        hand = self.hands[press]
        mine = {held.fence for held in hand if self._is_held(held)}
        holdings = [ClaimProgress(held, 1, self._spend(held)) for held in hand]
        with self.database.transaction() as session:
            kept = lifecycle.record_heartbeat(session, self.presses[press], holdings, factories.LEASE, {})
        assert kept == mine
        for held in hand:
            self._note(held)
        self.hands[press] = [held for held in hand if held.fence in mine and self._is_held(held)]

    @rule(press=PRESS, fate=st.sampled_from(["stops", "wakes", "dies"]))
    def change(self, press: int, fate: str) -> None:
        if fate == "stops":
            self.paused.add(press)
            return
        self.paused.discard(press)
        if fate == "dies":
            self.hands[press].clear()

    @precondition(lambda self: self._list_busy())
    @rule(pick=PICK, how=st.sampled_from(sorted(ENDINGS)), twice=st.booleans())
    def end(self, pick: int, how: str, twice: bool) -> None:
        """End an attempt; *twice* when the answer to the commit was lost."""
        busy = self._list_busy()
        press, held = busy[pick % len(busy)]
        self.hands[press].remove(held)
        for _ in range(1 + twice):
            with self._settling(held) as spent, self.database.transaction() as session:
                ENDINGS[how](session, held, spent)
                self.strikes[held.job_id] -= how == "release"

    # What time and the clerk do.

    @precondition(lambda self: self._list_awaited())
    @rule(pick=PICK)
    def pass_time(self, pick: int) -> None:
        awaited = self._list_awaited()
        job_id, column = awaited[pick % len(awaited)]
        factories.age(self.database, job_id, column, PAST)

    @precondition(lambda self: self._list_running())
    @rule(pick=PICK)
    def fall_silent(self, pick: int) -> None:
        """A press is not heard of for longer than a lease; it may yet come back with what it has in hand."""
        running = self._list_running()
        factories.age(self.database, running[pick % len(running)], "lease_until", PAST)
        self.go_round("requeue_lost_jobs")

    @rule(duty=st.sampled_from(["requeue_lost_jobs", "expire_due_jobs"]))
    def go_round(self, duty: str) -> None:
        with self.database.transaction() as session:
            if duty == "requeue_lost_jobs":
                lifecycle.requeue_lost_jobs(session, factories.MAX_STRIKES)
            else:
                lifecycle.expire_due_jobs(session)

    # What must be true after each step.

    @invariant()
    def promises_hold(self) -> None:
        with self.database.reading() as session:
            rows = {job.id: job for job in session.scalars(select(Job))}
            tries = _group(session, Attempt)
            prints = _group(session, Image)
            told = _group(session, WebhookMessage)
        assert set(rows) == self.accepted, "what was accepted is there, and nothing else"
        for job in rows.values():
            self._check_end(job)
            self._check_attempts(job, sorted(tries.get(job.id, []), key=lambda attempt: attempt.number))
            _check_images(job, prints.get(job.id, []))
            _check_messages(job, [message.event for message in told.get(job.id, [])])

    def _check_end(self, job: Job) -> None:
        end = (job.status, job.finished_at, job.attempt, job.error_code)
        assert job.status.is_terminal == (job.finished_at is not None)
        if job.status.is_terminal:
            assert self.ends.setdefault(job.id, end) == end, "an end is final"
        assert job.strikes == self.strikes[job.id] <= factories.MAX_STRIKES
        assert job.status is not JobStatus.QUEUED or job.strikes < factories.MAX_STRIKES
        assert job.error_code != "worker_lost" or job.strikes == factories.MAX_STRIKES

    def _check_attempts(self, job: Job, tries: list[Attempt]) -> None:
        assert [attempt.number for attempt in tries] == list(range(1, job.attempt + 1))
        assert len(tries) >= self.counts.get(job.id, 0), "attempts only grow"
        self.counts[job.id] = len(tries)
        is_open = [attempt.outcome is Outcome.RUNNING for attempt in tries]
        is_running = job.status is JobStatus.RUNNING
        assert not any(is_open[:-1])
        assert is_open[-1:] == ([is_running] if tries else [])
        assert (job.lease_until is not None) == is_running
        for attempt in tries:
            assert attempt.gpu_seconds == self.booked[job.id, attempt.number]

    def teardown(self) -> None:
        """Heal: every press has died, time passes, and one press that works is enough."""
        for _ in range(3 * factories.MAX_STRIKES):
            with self.database.transaction() as session:
                factories.lift_guards(session)
                session.execute(
                    update(Job).where(Job.lease_until.is_not(None)).values(lease_until=now_sql(session, -PAST))
                )
                session.execute(
                    update(Job).where(Job.status == JobStatus.QUEUED).values(due_at=now_sql(session, -PAST))
                )
            self.go_round("requeue_lost_jobs")
            self.go_round("expire_due_jobs")
            while (held := factories.claim(self.database, self.presses[0])) is not None:
                self._open(held)
                with self._settling(held) as spent, self.database.transaction() as session:
                    lifecycle.succeed_job(session, held, factories.images(held), spent)
        self.promises_hold()
        with self.database.reading() as session:
            rows = {job.id: job for job in session.scalars(select(Job))}
            invariants._check_jobs(rows, self.accepted)
            invariants._check_attempts(session, rows)

    # The bookkeeping of the model.

    def _pick_job(self, pick: int) -> UUID:
        return sorted(self.accepted)[pick % len(self.accepted)]

    def _list_busy(self) -> list[tuple[int, Claim]]:
        return [(press, held) for press, hand in self.hands.items() if press not in self.paused for held in hand]

    def _list_running(self) -> list[UUID]:
        with self.database.reading() as session:
            return list(session.scalars(select(Job.id).where(Job.status == JobStatus.RUNNING).order_by(Job.id)))

    def _list_awaited(self) -> list[tuple[UUID, str]]:
        """Return what time may bring to which job: the end of a lease, of a back-off, or of all patience."""
        with self.database.reading() as session:
            time = now_sql(session)
            awaited = {
                "lease_until": Job.lease_until > time,
                "due_at": and_(Job.status == JobStatus.QUEUED, Job.due_at > time),
                "deadline_at": and_(Job.finished_at.is_(None), Job.deadline_at > time),
            }
            return [
                (job_id, column)
                for column, is_awaited in awaited.items()
                for job_id in session.scalars(select(Job.id).where(is_awaited).order_by(Job.id))
            ]

    def _list_due(self) -> list[UUID]:
        with self.database.reading() as session:
            time = now_sql(session)
            open_ended = or_(Job.deadline_at.is_(None), Job.deadline_at > time)
            due = select(Job.id).where(Job.status == JobStatus.QUEUED, Job.due_at <= time, open_ended)
            return list(session.scalars(due))

    def _is_held(self, held: Claim) -> bool:
        row = factories.read(self.database, held.job_id)
        return row.status is JobStatus.RUNNING and row.attempt == held.attempt

    def _open(self, held: Claim) -> None:
        self.booked[held.job_id, held.attempt] = 0.0
        self.strikes[held.job_id] += 1
        assert held.strikes == self.strikes[held.job_id]

    def _spend(self, held: Claim) -> Spent:
        key = held.job_id, held.attempt
        self.spent[key] = self.spent.get(key, 0.0) + 1.0
        return Spent(self.spent[key])

    def _note(self, held: Claim) -> None:
        self.booked[held.job_id, held.attempt] = self.spent[held.job_id, held.attempt]

    @contextmanager
    def _settling(self, held: Claim) -> Iterator[Spent]:
        """End an attempt as a press does: what is fenced off is only booked. It is fenced exactly when it must be."""
        was_held = self._is_held(held)
        spent = self._spend(held)
        try:
            yield spent
        except FencedError:
            assert not was_held
            with self.database.transaction() as session:
                attempts.record_late_spend(session, held, spent)
        else:
            assert was_held
        self._note(held)


def _group(session: Session, table: Any) -> dict[UUID, list[Any]]:
    groups: dict[UUID, list[Any]] = {}
    for row in session.scalars(select(table)):
        groups.setdefault(row.job_id, []).append(row)
    return groups


def _check_images(job: Job, prints: list[Image]) -> None:
    is_printed = job.status is JobStatus.SUCCEEDED or job.error_code == "content_blocked"
    assert sorted(image.position for image in prints) == (list(range(job.num_images)) if is_printed else [])
    assert {image.attempt for image in prints} <= {job.attempt}


def _check_messages(job: Job, events: list[str]) -> None:
    """Each start and the one end was owed in its transaction; to an owner without a webhook, nothing."""
    owed = [str(EVENT_OF_STATUS[JobStatus.RUNNING])] * job.attempt
    if job.status.is_terminal:
        owed.append(str(EVENT_OF_STATUS[job.status]))
    assert sorted(events) == (sorted(owed) if job.owner == TOLD else [])


def test_the_guarantees_hold_in_any_order_of_events(database: Database) -> None:
    class OnThis(Jobs):
        pass

    OnThis.database = database
    run_state_machine_as_test(OnThis, settings=THOROUGH)
