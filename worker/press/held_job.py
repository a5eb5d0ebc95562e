"""A job held by this press: its progress, its cost, and whether to continue."""

import threading
import time

from common.errors import DrainingError, InterruptedAttemptError
from common.failpoints import failpoint
from common.jobs.attempts import Claim, ClaimProgress, Spent


class HeldJob:
    """A claim in progress; the engine reports each step to it, and the heartbeat reads it."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self._lock = threading.Lock()
        self._step = 0
        self._spent = Spent()
        self._is_interrupted = False
        self.is_printed = False
        """Set once the engine has finished with the job."""
        self._release_at: float | None = None

    def step(self, number: int, spent: Spent) -> None:
        """Record that *number* steps are done; raise the pending interruption, if any."""
        with self._lock:
            self._step, self._spent = number, spent
        failpoint("stepped")
        self.check_interruption()

    def check_interruption(self) -> None:
        """Raise InterruptedAttemptError or DrainingError if the work must stop; otherwise return."""
        if self._is_interrupted:
            raise InterruptedAttemptError
        if self._release_at is not None and time.monotonic() >= self._release_at:
            raise DrainingError

    def interrupt(self) -> None:
        """Stop at the next step: the job was cancelled, expired, or now belongs to another attempt."""
        self._is_interrupted = True

    def release_after(self, seconds: float) -> None:
        """Stop at the first step after the given seconds and release the job: the press is shutting down."""
        self._release_at = time.monotonic() + seconds

    @property
    def spent(self) -> Spent:
        """Return the job's cost up to its last step."""
        with self._lock:
            return self._spent

    @property
    def holding(self) -> ClaimProgress:
        """Return the state of this work for the heartbeat."""
        with self._lock:
            return ClaimProgress(self.claim, self._step, self._spent)
