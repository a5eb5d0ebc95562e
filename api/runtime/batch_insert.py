"""The intake: orders that wait together become jobs in one transaction, with one sync of the disk and one ring.

Each comes out as if all had been submitted one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from sqlalchemy.orm import Session

from api.runtime.flat_combining import Combiner
from common.db.engine import Database, hurry
from common.errors import BellUnavailableError, PressroomError, QueueFullError
from common.failpoints import fault
from common.jobs import fair_queue, idempotency, lifecycle
from common.jobs.idempotency import Reservation
from common.jobs.notifier import Bell
from common.jobs.spec import Order
from common.logs import get_logger
from common.settings import Settings
from common.tables import Job
from common.webhooks import endpoints
from common.webhooks.signing_secrets import Sealer

logger = get_logger(__name__)


@dataclass(frozen=True)
class Made:
    """A new job, and how many are before it."""

    job: Job
    queue_position: int


Outcome: TypeAlias = Made | UUID | PressroomError
"""Of an order: its job, the id of the job that an earlier request made, or why there is none."""


@dataclass(frozen=True)
class Wish:
    """An order, and the idempotency key that it came with."""

    order: Order
    reservation: Reservation | None


class Intake:
    """Takes orders from many threads at once."""

    def __init__(self, database: Database, bell: Bell, sealer: Sealer, settings: Settings) -> None:
        self._database = database
        self._bell = bell
        self._sealer = sealer
        self._settings = settings
        self._combiner = Combiner(self.take_all)

    def take(self, order: Order, reservation: Reservation | None) -> Made | UUID:
        """Queue *order* and ring; return its job, or the id of the one that an earlier request made.

        Raises QueueFullError, IdempotencyKeyReusedError, IdempotencyInProgressError or DatabaseUnavailableError.
        """
        outcome = self._combiner.ask(Wish(order, reservation))
        if isinstance(outcome, PressroomError):
            raise outcome
        return outcome

    def take_all(self, wishes: Sequence[Wish]) -> list[Outcome]:
        """Do for each what ``take`` does, as if one after the other; return what that would return or raise."""
        with self._database.transaction() as session:
            if len(wishes) > 1:
                hurry(session)  # each by itself has all the time it wants
            outcomes = self._queue(session, wishes)
        made = [outcome.job for outcome in outcomes if isinstance(outcome, Made)]
        for _ in made:
            fault("submitted")
        self._ring(made)
        return outcomes

    def _queue(self, session: Session, wishes: Sequence[Wish]) -> list[Outcome]:
        keys = [wish.reservation for wish in wishes if wish.reservation is not None]
        found = idempotency.reserve_all(session, keys, self._settings.idempotency_hours)
        earlier = {key.job_id: known for key, known in zip(keys, found, strict=True) if known is not None}
        new = [wish.order for wish in wishes if wish.order.id not in earlier]
        made = lifecycle.submit_all(session, new, self._settings.max_queued_jobs)
        refused = {order.id for order in new} - made.keys()
        idempotency.free(session, [key for key in keys if key.job_id in refused])
        for owner in sorted({job.owner for job in made.values() if job.webhook_url is not None}):
            endpoints.see_to_direct(session, self._sealer, owner)
        ahead = fair_queue.count_all_ahead(session, made.values())
        for _ in made:
            fault("submitting")

        def tell(wish: Wish) -> Outcome:
            known = earlier.get(wish.order.id, wish.order.id)
            if isinstance(known, PressroomError):
                return known
            if known in refused:
                return QueueFullError()  # so has one whose key came with a refused order of this very group
            return Made(made[known], ahead[known]) if known == wish.order.id else known

        return [tell(wish) for wish in wishes]

    def _ring(self, made: Sequence[Job]) -> None:
        for model in {job.model for job in made}:
            try:
                self._bell.ring(model, *(job.id for job in made if job.model == model))
            except BellUnavailableError as error:
                # The rows are the jobs: the clerk rings again for whatever is due.
                logger.warning("bell unheard", model=model, reason=error.code)
