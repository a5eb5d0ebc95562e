"""Batched job submission: concurrent submissions become jobs in one transaction, with one disk sync and one message.

The result is the same as if they had been submitted one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from api.runtime.flat_combining import FlatCombiner
from common.db.engine import Database, shorten_lock_timeout
from common.errors import BrokerUnavailableError, PressroomError, QueueFullError
from common.failpoints import failpoint
from common.jobs import fair_queue, idempotency, lifecycle
from common.jobs.idempotency import Reservation
from common.jobs.notifier import Notifier
from common.jobs.spec import JobSpec
from common.logs import get_logger
from common.settings import Settings
from common.tables import Job
from common.webhooks import endpoints
from common.webhooks.signing_secrets import SecretCipher

log = get_logger(__name__)


@dataclass(frozen=True)
class InsertedJob:
    """A new job and the number of jobs ahead of it."""

    job: Job
    queue_position: int


@dataclass(frozen=True)
class InsertOutcome:
    """The result of a submission: its new job, an error, or neither if an earlier request created the job *job_id*."""

    job_id: UUID
    inserted: InsertedJob | None = None
    error: PressroomError | None = None


@dataclass(frozen=True)
class PendingJob:
    """A job spec and its idempotency key."""

    spec: JobSpec
    reservation: Reservation | None


class BatchInserter:
    """Accepts job specs from many threads and inserts them in batches."""

    def __init__(self, database: Database, notifier: Notifier, cipher: SecretCipher, settings: Settings) -> None:
        self._database = database
        self._notifier = notifier
        self._cipher = cipher
        self._settings = settings
        self._combiner = FlatCombiner(self.submit_all)

    def submit(self, spec: JobSpec, reservation: Reservation | None) -> InsertOutcome:
        """Queue *spec* and notify presses; return its job, or the ID of the job created by an earlier request.

        Raises QueueFullError, IdempotencyKeyReusedError, IdempotencyInProgressError or DatabaseUnavailableError.
        """
        outcome = self._combiner.run(PendingJob(spec, reservation))
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def submit_all(self, pending: Sequence[PendingJob]) -> list[InsertOutcome]:
        """Do what ``submit`` does for each, as if in sequence; return the results and errors."""
        with self._database.transaction() as session:
            if len(pending) > 1:
                shorten_lock_timeout(session)  # a single job may take as long as it needs
            outcomes = self._queue(session, pending)
        made = [outcome.inserted.job for outcome in outcomes if outcome.inserted is not None]
        for _ in made:
            failpoint("submitted")
        self._notify(made)
        return outcomes

    def _queue(self, session: Session, pending: Sequence[PendingJob]) -> list[InsertOutcome]:
        keys = [each.reservation for each in pending if each.reservation is not None]
        found = idempotency.reserve_idempotency_keys(session, keys, self._settings.idempotency_hours)
        reused = {key.job_id: known for key, known in zip(keys, found, strict=True) if known is not None}
        new = [each.spec for each in pending if each.spec.id not in reused]
        inserted = lifecycle.submit_jobs(session, new, self._settings.max_queued_jobs)
        refused = {spec.id for spec in new} - inserted.keys()
        idempotency.release_idempotency_keys(session, [key for key in keys if key.job_id in refused])
        for owner in sorted({job.owner for job in inserted.values() if job.webhook_url is not None}):
            endpoints.ensure_direct_endpoint(session, self._cipher, owner)
        ahead = fair_queue.count_jobs_ahead_of_each(session, inserted.values())

        outcomes: dict[UUID, InsertOutcome] = {}
        for order_id, known in reused.items():
            if known in refused:  # the first job with this key is in this batch, and found no room
                outcomes[order_id] = InsertOutcome(order_id, error=QueueFullError())
            elif isinstance(known, UUID):
                outcomes[order_id] = InsertOutcome(known)
            else:
                outcomes[order_id] = InsertOutcome(order_id, error=known)
        for order_id in refused:
            outcomes[order_id] = InsertOutcome(order_id, error=QueueFullError())
        for order_id, job in inserted.items():
            failpoint("submitting")
            outcomes[order_id] = InsertOutcome(order_id, InsertedJob(job, ahead[order_id]))
        return [outcomes[each.spec.id] for each in pending]

    def _notify(self, made: Sequence[Job]) -> None:
        for model in {job.model for job in made}:
            try:
                self._notifier.notify(model, *(job.id for job in made if job.model == model))
            except BrokerUnavailableError as error:
                # The job rows are committed; the clerk sends the notification again.
                log.warning("notification_failed", model=model, reason=error.code)
