"""One job in the hands of this press: how far it is, what it has cost, and whether to go on."""

import threading
import time

from common.errors import DrainingError, InterruptedAttemptError
from common.failpoints import fault
from common.jobs.attempts import Claim, Holding, Spent


class Work:
    """A claim being worked on; the engine reports each step to it, and the beat reads it."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self._lock = threading.Lock()
        self._step = 0
        self._spent = Spent()
        self._taken_away = False
        self.is_printed = False
        """Set once the engine has nothing more to do for it."""
        self._give_back_at: float | None = None

    def step(self, number: int, spent: Spent) -> None:
        """Note that *number* steps are done; raise what must stop the engine here, if anything must."""
        with self._lock:
            self._step, self._spent = number, spent
        fault("stepped")
        self.go_on()

    def go_on(self) -> None:
        """Return if the work is still wanted; else raise InterruptedAttemptError or DrainingError."""
        if self._taken_away:
            raise InterruptedAttemptError
        if self._give_back_at is not None and time.monotonic() >= self._give_back_at:
            raise DrainingError

    def take_away(self) -> None:
        """Stop at the next step: the job was cancelled, has expired, or belongs to another attempt."""
        self._taken_away = True

    def give_back(self, after_seconds: float) -> None:
        """Stop at the first step after so many seconds, and give the job back: the press is leaving."""
        self._give_back_at = time.monotonic() + after_seconds

    @property
    def spent(self) -> Spent:
        """Return what the job has cost up to its last step."""
        with self._lock:
            return self._spent

    @property
    def holding(self) -> Holding:
        """Return the state of this work as the beat reports it."""
        with self._lock:
            return Holding(self.claim, self._step, self._spent)
