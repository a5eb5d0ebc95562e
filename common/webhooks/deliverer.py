"""Delivers due webhook messages, each in its own thread, and records the outcome.

No transaction is open while a receiver is spoken to. A slow one holds two threads at most; nobody waits for it.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from common.db import clock
from common.db.engine import Database
from common.errors import DatabaseUnavailableError
from common.failpoints import failpoint
from common.logs import get_logger
from common.states.webhooks import Failure
from common.webhooks import claiming, outcomes, signatures
from common.webhooks.claiming import Delivery
from common.webhooks.outcomes import DeliveryOutcome
from common.webhooks.public_addresses import UnresolvedError
from common.webhooks.signing_secrets import SecretCipher, SecretUnreadableError
from common.webhooks.ssrf_guard import SsrfGuard
from common.webhooks.transport import Transport, UndeliveredError
from common.webhooks.urls import DestinationNotAllowedError, InvalidUrlError

CLOSE_SECONDS = 5.0
log = get_logger(__name__)

TimeSource = Callable[[Session], datetime]


class Deliverer:
    """Delivers messages with up to *threads* at once; several couriers may share a database."""

    def __init__(
        self,
        database: Database,
        cipher: SecretCipher,
        guard: SsrfGuard,
        transport: Transport | None = None,
        *,
        threads: int = 32,
        clock: TimeSource = clock.fetch_now,
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._guard = guard
        self._transport = transport or Transport()
        self._threads = threads
        self._clock = clock
        self._lock = threading.Lock()
        self._busy: set[threading.Thread] = set()
        self._stopping = threading.Event()

    def dispatch(self) -> int:
        """Set off with as much of what is due as there are hands for; return how many messages that is."""
        with self._lock:
            room = self._threads - len(self._busy)
        if room <= 0:
            return 0
        with self._database.reading() as session:
            if not claiming.has_due_messages(session, self._clock(session)):
                return 0
        with self._database.transaction() as session:
            taken = claiming.claim_deliveries(session, self._clock(session), room, threads=self._threads)
        for delivery in taken:
            # Daemons: a process that ends need not wait for receivers, for what was in hand goes again.
            thread = threading.Thread(target=self._deliver, args=(delivery,), name="deliverer", daemon=True)
            with self._lock:
                self._busy.add(thread)
            thread.start()
        return len(taken)

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is on its way; return whether that was so in time."""
        deadline = time.monotonic() + seconds
        while True:
            with self._lock:
                busy = next(iter(self._busy), None)
            if busy is None:
                return True
            if (left := deadline - time.monotonic()) <= 0:
                return False
            busy.join(left)

    def close(self) -> None:
        """Begin nothing more, and give what is on its way a moment to arrive."""
        self._stopping.set()
        self.wait(CLOSE_SECONDS)

    def _deliver(self, first: Delivery) -> None:
        delivery: Delivery | None = first
        try:
            while delivery is not None:
                failpoint("sending")
                outcome = self.attempt(delivery)
                failpoint("sent")
                delivery = self._record_attempt(delivery, outcome)
        except DatabaseUnavailableError as error:
            log.warning("delivery_not_booked", code=error.code, reason=error.message)
        finally:
            with self._lock:
                self._busy.discard(threading.current_thread())

    def attempt(self, delivery: Delivery) -> DeliveryOutcome:
        """Try once, and return what came of it; never raises for anything that a receiver does."""
        began = time.monotonic()
        try:
            secrets = [self._cipher.open(sealed) for sealed in delivery.secrets]
            target = self._guard.resolve(delivery.url)
            timestamp = int(delivery.started_at.timestamp())
            headers = signatures.build_headers(
                secrets, str(delivery.message_id), timestamp, delivery.number, delivery.body
            )
            answer = self._transport.post(target, headers, delivery.body)
        except UndeliveredError as error:
            failure = error.failure
        except (DestinationNotAllowedError, InvalidUrlError):
            failure = Failure.NOT_ALLOWED
        except UnresolvedError:
            failure = Failure.UNRESOLVED
        except SecretUnreadableError:
            failure = Failure.UNREADABLE
        else:
            return outcomes.classify_response(answer, time.monotonic() - began)
        return DeliveryOutcome(time.monotonic() - began, failure)

    def _record_attempt(self, delivery: Delivery, outcome: DeliveryOutcome) -> Delivery | None:
        """Write what came of a try, and return what to try next, if anything is due."""
        with self._database.transaction() as session:
            moment = self._clock(session)
            state = outcomes.record_outcome(session, delivery, outcome, moment)
            is_last = self._stopping.is_set()
            following = [] if is_last else claiming.claim_deliveries(session, moment, 1, threads=self._threads)
        log.info(
            "webhook_tried",
            message_id=str(delivery.message_id),
            webhook_id=str(delivery.endpoint_id),
            attempt=delivery.number,
            status=outcome.status,
            error=outcome.failure,
            state=state,
        )
        return following[0] if following else None
