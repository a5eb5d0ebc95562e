"""The press: what it works with, what it holds, and its heartbeat."""

import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from common.db.clock import now
from common.db.engine import Database
from common.errors import DatabaseUnavailableError, FencedError, JobUnreadableError, StepTimeoutError
from common.ids import new_id
from common.jobs import lifecycle
from common.jobs.attempts import Claim, Fence
from common.logs import get_logger
from common.models.catalog import ModelCard, register
from common.settings import Settings
from common.storage.port import Storage
from common.tables import Press as PressRow
from common.tables.states import Priority
from worker.checkers.interface import Checker
from worker.checkers.wrappers import PunctualChecker
from worker.engine.interface import Engine
from worker.metering.meter import Meter
from worker.pictures.finish import Finisher
from worker.pictures.safety_verdict import Judge
from worker.press.capacity import Room
from worker.press.held_job import Work
from worker.press.restart import is_work_waiting, start_again
from worker.press.storage_gate import Outlet

DEAF_SECONDS = 20.0
"""A press that is idle this long while work is due, and has heard no bell, has lost its ear: it must start again."""

UNREADABLE_WAITS = timedelta(seconds=30)
"""How long a job that this version cannot read is left to presses of the version that wrote it."""

OUTLET_PAUSE_SECONDS = 2.0
"""How often a storage that takes nothing is tried."""

log = get_logger(__name__)


class Press:
    """One accelerator with everything around it."""

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
        self.id: UUID = new_id()
        self.settings = settings
        self.cards = cards
        self.database = database
        self.storage = storage
        self.engine = engine
        self.checker: Checker = PunctualChecker(checker, settings.check_timeout_seconds, start_again)
        self.judge = Judge(self.checker, settings)
        self.finisher = finisher
        self.outlet = Outlet(storage)
        self.meter = meter
        self.models = [card.name for card in cards]
        self.lease = timedelta(seconds=settings.lease_seconds)
        self._room = Room()
        self._door = threading.Lock()
        self._holdings: dict[Fence, Work] = {}
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._stopped = threading.Event()
        self._heard_at = time.monotonic()
        self._heart = threading.Thread(target=self._beat_on, name="heart", daemon=True)

    @property
    def threads(self) -> int:
        """Return how many jobs to have in hand: a full batch, and a quarter more (at least one) for the tail.

        A storage that is slow keeps threads in the tail, and without a free thread nothing is claimed: the pictures
        that wait in memory are never more than these.
        """
        return self.engine.capacity + max(1, self.engine.capacity // 4)

    @property
    def is_leaving(self) -> bool:
        """Tell whether it has been asked to stop."""
        return self._leaving.is_set()

    def start(self) -> None:
        """Offer the models, then load them and the checker; until this returns the press takes no work."""
        with self.database.transaction() as session:
            register(session, self.cards)
            session.add(
                PressRow(
                    id=self.id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    accelerator=self.engine.accelerator,
                    models=self.models,
                    price_per_hour=self.settings.gpu_price_per_hour,
                    currency=self.settings.currency,
                    started_at=now(session),
                    heartbeat_at=now(session),
                )
            )
        self.judge.load()
        self.finisher.load()
        self.engine.load()
        with self.database.transaction() as session:
            session.get_one(PressRow, self.id).rates = _as_json(self.engine.rates)
        self._heart.start()
        log.info("press_ready", press_id=str(self.id), models=self.models, accelerator=self.engine.accelerator)

    @contextmanager
    def claimed(self) -> Iterator[tuple[Work, Callable[[], None]] | None]:
        """Wait until the engine has room, and take the best due job; yield None if there is none or the press leaves.

        The job keeps its share of the engine for the block, or until the function that is yielded with it is called.
        """
        self._heard_at = time.monotonic()
        with ExitStack() as place:
            with self._door:  # one at a time, lest two claim on the strength of the same free place
                work = self._claim_in_turn()
                if work is not None:
                    place.enter_context(self._room.taken(self.engine.weigh(work.claim.request)))
            yield (work, place.close) if work is not None else None

    def _claim_in_turn(self) -> Work | None:
        """Wait until the engine has room and claim; what is interactive need not wait for what is bulk."""
        while not self._leaving.is_set():
            if not self.outlet.is_open:
                self._leaving.wait(OUTLET_PAUSE_SECONDS)
                self.outlet.try_out()
            elif self._room.wait():
                return self._claim(tuple(Priority))
            elif self._room.has_some_for_the_urgent and (urgent := self._claim((Priority.INTERACTIVE,))) is not None:
                return urgent
        return None

    def _claim(self, priorities: Collection[Priority]) -> Work | None:
        try:
            with self.database.transaction() as session:
                claim = lifecycle.claim(
                    session,
                    self.id,
                    self.models,
                    self.engine.warm_lanes,
                    priorities,
                    lease=self.lease,
                    max_strikes=self.settings.max_strikes,
                )
        except JobUnreadableError as error:
            log.error("job_unreadable", job_id=str(error.job_id))  # noqa: TRY400  (no trace: it is foreseen)
            with self.database.transaction() as session:
                lifecycle.put_off(session, error.job_id, UNREADABLE_WAITS)
            return None
        return Work(claim) if claim is not None else None

    @contextmanager
    def holding(self, work: Work) -> Iterator[None]:
        """Keep the lease of *work* alive for the block."""
        with self._lock:
            self._holdings[work.claim.fence] = work
            if self._leaving.is_set():
                work.give_back(self.settings.drain_seconds)
        try:
            yield
        finally:
            with self._lock:
                self._holdings.pop(work.claim.fence, None)

    def report(self, session: Session) -> None:
        """Write the state of all work in hand, and of the meter, in the caller's transaction."""
        with self._lock:
            holdings = [work.holding for work in self._holdings.values()]
        kept = lifecycle.beat(session, self.id, holdings, self.lease, self.meter.snapshot())
        for holding in holdings:
            if holding.claim.fence not in kept:
                self._take_away(holding.claim)

    def leave(self) -> None:
        """Claim nothing more; finish what can be finished in the time that is given, and give the rest back."""
        log.info("press_leaving", jobs=len(self._holdings))
        self._leaving.set()
        with self._lock:
            for work in self._holdings.values():
                work.give_back(self.settings.drain_seconds)

    def stop(self) -> None:
        """End what is still in hand, write the last of the meter and mark the press as stopped."""
        self._leaving.set()
        self._stopped.set()
        if self._heart.is_alive():
            self._heart.join()
        self.engine.close()
        with self.database.transaction() as session:
            self.report(session)
            session.get_one(PressRow, self.id).stopped_at = now(session)
        self.database.close()

    def _take_away(self, claim: Claim) -> None:
        with self._lock:
            work = self._holdings.get(claim.fence)
        if work is not None:
            work.take_away()

    def _beat_on(self) -> None:
        while not self._stopped.wait(self.settings.beat_seconds):
            try:
                with self.database.transaction() as session:
                    self.report(session)
                if self.engine.is_stuck:
                    self._say_last_words()
                self._listen()
            except DatabaseUnavailableError as error:
                # Work goes on: if the lease outlives the outage it can still be settled, else the fence holds.
                log.warning("beat_failed", reason=error.message)

    def _say_last_words(self) -> None:
        """Enter why the attempts in the engine end, and give their jobs back: the watchdog will not wait for it."""
        log.error("step_overdue", jobs=len(self._holdings))
        with self._lock:
            stuck = [work for work in self._holdings.values() if not work.is_printed]
        for work in stuck:
            with suppress(FencedError), self.database.transaction() as session:
                lifecycle.fail(session, work.claim, StepTimeoutError(), work.spent)

    def _listen(self) -> None:
        if not self.outlet.is_open:
            self._heard_at = time.monotonic()  # it hears, and waits
        if self._holdings or self._leaving.is_set() or time.monotonic() - self._heard_at < DEAF_SECONDS:
            return
        if is_work_waiting(self.database, self.models, DEAF_SECONDS):
            log.error("press_deaf", seconds=DEAF_SECONDS)
            start_again()


def _as_json(rates: dict[str, dict[int, float]]) -> dict[str, dict[str, float]]:
    return {model: {str(rows): rate for rows, rate in known.items()} for model, known in rates.items()}
