"""The press: its components, the jobs it holds, and its heartbeat."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from common.db.clock import now_sql
from common.db.engine import Database
from common.db.ids import create_id
from common.errors import (
    DatabaseUnavailableError,
    FencedError,
    JobUnreadableError,
    ModelUnavailableError,
    PressroomError,
    StepTimeoutError,
    StorageError,
)
from common.jobs import fair_queue, lifecycle, press_faults
from common.jobs.attempts import Claim, Fence
from common.logs import get_logger
from common.models.catalog import ModelCard, register_models, register_new_models
from common.models.text_encoders import register_encoders
from common.settings import Settings
from common.states.jobs import Priority
from common.storage.port import Storage
from common.tables import Press as PressRow
from worker.checkers.interface import Checker
from worker.checkers.wrappers import TimeoutChecker
from worker.engine.interface import Engine
from worker.metering.meter import Meter
from worker.pictures.finish import Finisher
from worker.pictures.safety_verdict import SafetyPolicyEngine
from worker.press.capacity import Capacity
from worker.press.circuit_breaker import CircuitBreaker
from worker.press.failed_jobs import FailedJobs
from worker.press.held_job import HeldJob
from worker.press.registration import insert_press
from worker.press.restart import Restart
from worker.press.stalled_consumer import is_work_waiting
from worker.press.storage_gate import StorageGate

CONSUMER_STALL_SECONDS = 20.0
"""Seconds after which an idle press that receives no notification while work is due must restart."""

UNREADABLE_JOB_DELAY = timedelta(seconds=30)
"""How long a job that this version cannot read is left to presses of the version that wrote it."""

STORAGE_RETRY_SECONDS = 2.0
"""How often a failing storage is retried, and how often a press out of service looks whether its rest is over."""

log = get_logger(__name__)


class Press:
    """One accelerator with everything needed to run jobs on it."""

    def __init__(
        self,
        settings: Settings,
        cards: Sequence[ModelCard],
        *,
        database: Database,
        storage: Storage,
        engine: Engine,
        checker: Checker,
        finisher: Finisher,
        meter: Meter,
    ) -> None:
        self.id: UUID = create_id()
        self.settings = settings
        self.cards = cards
        self.database = database
        self.storage = storage
        self.engine = engine
        self.restart = Restart()
        self.checker: Checker = TimeoutChecker(checker, settings.check_timeout_seconds, self.restart.request)
        self.safety = SafetyPolicyEngine(self.checker, settings)
        self.finisher = finisher
        self.outlet = StorageGate(storage)
        self.breaker = CircuitBreaker()
        self.meter = meter
        self.models = _list_usable(cards)
        self.lease = timedelta(seconds=settings.lease_seconds)
        self._room = Capacity()
        self._door = threading.Lock()
        self._holdings: dict[Fence, HeldJob] = {}
        self._lock = threading.Lock()
        self._failed_jobs = FailedJobs()
        self._leaving = threading.Event()
        self._stopped = threading.Event()
        self._notified_at = time.monotonic()
        self._heart = threading.Thread(target=self._run_heartbeat, name="heart", daemon=True)

    @property
    def threads(self) -> int:
        """Return how many jobs to hold: a full batch, plus a quarter (at least one) for the tail.

        A slow storage keeps threads busy in the tail, and without a free thread nothing is claimed. This bounds the
        number of images waiting in memory.
        """
        return self.engine.capacity + max(1, self.engine.capacity // 4)

    @property
    def is_leaving(self) -> bool:
        """Return whether the press has been asked to stop."""
        return self._leaving.is_set()

    @property
    def fault(self) -> str | None:
        """Return the code of the error because of which the press takes no jobs now, or None if it takes jobs."""
        return self.breaker.fault if self.outlet.is_open else StorageError.code

    def note_failure(self, claim: Claim, error: PressroomError) -> None:
        """Leave the job to another press, if there is one, and count the error if it may be this press's fault."""
        if error.retryable:
            self._failed_jobs.add(claim.job_id)
        self.breaker.record_fault(error, claim.job_id, is_first_attempt=claim.strikes == 1)
        with suppress(DatabaseUnavailableError):  # it is judged again before the next claim
            self.breaker.judge(self._count_faults)

    def _count_faults(self, job_ids: Collection[UUID]) -> int:
        with self.database.reading() as session:
            return press_faults.count_faults_of_press(session, self.id, job_ids, self.lease)

    def start(self) -> None:
        """Load the checker and the models, then offer those that work. The press takes no work until this returns.

        Raises ModelUnavailableError if none of the models works.
        """
        with self.database.transaction() as session:
            register_new_models(session, self.cards)
            insert_press(session, self.id, self.settings, self.engine.accelerator)
        self.safety.load()
        self.finisher.load()
        tried = self.engine.load()
        self.cards = [tried.get(card.name, card) for card in self.cards]
        self.models = _list_usable(self.cards)
        with self.database.transaction() as session:
            register_models(session, self.cards)
            register_encoders(session, self.engine.text_encoders)
            row = session.get_one(PressRow, self.id)
            row.models, row.rates = self.models, _serialize_rates(self.engine.rates)
        if not self.models:
            raise ModelUnavailableError(" ".join(f"{card.name}: {card.fault}" for card in self.cards))
        self._heart.start()
        log.info("press_ready", press_id=str(self.id), models=self.models, accelerator=self.engine.accelerator)

    @contextmanager
    def claimed(self) -> Iterator[tuple[HeldJob, Callable[[], None]] | None]:
        """Wait for room, then claim the best due job; yield None if there is none or the press is shutting down.

        The job keeps its share of the engine for the block, or until the function yielded with it is called.
        """
        self._notified_at = time.monotonic()
        with ExitStack() as hand, ExitStack() as place:
            with self._door:  # one at a time, so that two threads do not claim for the same free capacity
                work = self._claim_in_turn()
                if work is not None:
                    hand.enter_context(self.breaker.holding())
                    place.enter_context(self._room.taken(self.engine.weigh(work.claim.request)))
            yield (work, place.close) if work is not None else None

    def _claim_in_turn(self) -> HeldJob | None:
        """Wait for room and claim a job; interactive jobs do not wait for bulk jobs."""
        while not self._leaving.is_set():
            self.breaker.judge(self._count_faults)
            if not self.outlet.is_open:
                self._leaving.wait(STORAGE_RETRY_SECONDS)
                self.outlet.probe()
            elif not self.breaker.may_claim:
                self._leaving.wait(STORAGE_RETRY_SECONDS)
            elif self._room.wait():
                return self._claim(tuple(Priority))
            elif self._room.has_some_for_the_urgent and (urgent := self._claim((Priority.INTERACTIVE,))) is not None:
                return urgent
        return None

    def _claim(self, priorities: Collection[Priority]) -> HeldJob | None:
        failed = self._failed_jobs.list_recent()
        try:
            with self.database.transaction() as session:
                left = fair_queue.find_jobs_for_others(session, self.id, failed, self.lease)
                claims = (
                    lifecycle.claim_job(
                        session,
                        self.id,
                        self.models,
                        self.engine.warm_lanes,
                        priorities,
                        lease=self.lease,
                        max_strikes=self.settings.max_strikes,
                        excluded=excluded,
                    )
                    for excluded in ([left] if self.breaker.fault is None else [failed, left])  # after a rest, new ones
                )
                claim = next(filter(None, claims), None)
        except JobUnreadableError as error:
            log.error("job_unreadable", job_id=str(error.job_id))  # noqa: TRY400  (no traceback: expected)
            with self.database.transaction() as session:
                lifecycle.defer_job(session, error.job_id, UNREADABLE_JOB_DELAY)
            return None
        return HeldJob(claim) if claim is not None else None

    @contextmanager
    def holding(self, work: HeldJob) -> Iterator[None]:
        """Keep the lease of *work* alive for the duration of the block."""
        with self._lock:
            self._holdings[work.claim.fence] = work
            if self._leaving.is_set():
                work.release_after(self.settings.drain_seconds)
        try:
            yield
        finally:
            with self._lock:
                self._holdings.pop(work.claim.fence, None)

    def report(self, session: Session) -> None:
        """Write the state of all held work and the meter in the caller's transaction."""
        with self._lock:
            holdings = [work.holding for work in self._holdings.values()]
        kept = lifecycle.record_heartbeat(
            session, self.id, holdings, self.lease, self.meter.snapshot() | {"fault": self.fault}
        )
        for holding in holdings:
            if holding.claim.fence not in kept:
                self._interrupt_work(holding.claim)

    def leave(self) -> None:
        """Stop claiming; finish as many jobs as the drain time allows and release the rest."""
        log.info("press_draining", jobs=len(self._holdings))
        self._leaving.set()
        with self._lock:
            for work in self._holdings.values():
                work.release_after(self.settings.drain_seconds)

    def stop(self) -> None:
        """End all remaining work, write the final meter reading and mark the press as stopped."""
        self._leaving.set()
        self._stopped.set()
        if self._heart.is_alive():
            self._heart.join()
        self.engine.close()
        with self.database.transaction() as session:
            self.report(session)
            session.get_one(PressRow, self.id).stopped_at = now_sql(session)
        self.database.close()

    def _interrupt_work(self, claim: Claim) -> None:
        with self._lock:
            work = self._holdings.get(claim.fence)
        if work is not None:
            work.interrupt()

    def _run_heartbeat(self) -> None:
        while not self._stopped.wait(self.settings.beat_seconds):
            try:
                with self.database.transaction() as session:
                    self.report(session)
                if self.engine.is_stuck:
                    self._fail_stuck_attempts()
                self._restart_if_consumer_stalled()
            except DatabaseUnavailableError as error:
                # Work continues: if the lease outlives the outage the job can be settled, otherwise it is fenced off.
                log.warning("beat_failed", reason=error.message)

    def _fail_stuck_attempts(self) -> None:
        """Fail the attempts in the engine because a step is overdue, before the watchdog ends the process."""
        log.error("step_overdue", jobs=len(self._holdings))
        with self._lock:
            stuck = [work for work in self._holdings.values() if not work.is_printed]
        for work in stuck:
            with suppress(FencedError), self.database.transaction() as session:
                lifecycle.fail_job(session, work.claim, StepTimeoutError(), work.spent)

    def _restart_if_consumer_stalled(self) -> None:
        if self.fault is not None:
            self._notified_at = time.monotonic()  # it receives notifications and is waiting
        if self._holdings or self._leaving.is_set() or time.monotonic() - self._notified_at < CONSUMER_STALL_SECONDS:
            return
        if is_work_waiting(self.database, self.models, CONSUMER_STALL_SECONDS):
            log.error("press_consumer_stalled", seconds=CONSUMER_STALL_SECONDS)
            self.restart.request()


def _list_usable(cards: Sequence[ModelCard]) -> list[str]:
    return [card.name for card in cards if card.fault is None]


def _serialize_rates(rates: dict[str, dict[int, float]]) -> dict[str, dict[str, float]]:
    return {model: {str(rows): rate for rows, rate in known.items()} for model, known in rates.items()}
