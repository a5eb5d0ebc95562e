"""The jobs that failed on this press lately: it leaves them to other presses, as long as one can try them."""

import threading
import time
from uuid import UUID

REMEMBERED_SECONDS = 600.0
"""Longer than the pauses between all attempts at a job."""


class FailedJobs:
    """Remembers the jobs of which an attempt failed here and may succeed elsewhere."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forget_at: dict[UUID, float] = {}

    def add(self, job_id: UUID) -> None:
        """Remember a job for a while."""
        with self._lock:
            self._forget_at[job_id] = time.monotonic() + REMEMBERED_SECONDS

    def list_recent(self) -> list[UUID]:
        """Return the jobs that are remembered."""
        now = time.monotonic()
        with self._lock:
            self._forget_at = {job_id: until for job_id, until in self._forget_at.items() if until > now}
            return list(self._forget_at)
