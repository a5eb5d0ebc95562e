"""Cache the API keys of open pages by their sessions: one query every two seconds looks them all up."""

import threading
import time
from uuid import UUID

from common.access import keys
from common.db.engine import Database
from common.tables import ApiKey

FRESH_SECONDS = 2.0
"""How long a live page works after its session was ended by another process; other pages look it up each time."""

KEPT_SECONDS = 60.0
"""How long a session stays in the query after its last request."""


class LiveKeyCache:
    """The cache of the keys of open pages."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._asked: dict[UUID, float] = {}
        self._live: dict[UUID, ApiKey] = {}
        self._fresh_until = 0.0

    def find(self, session_id: UUID) -> ApiKey | None:
        """Return the key of a session, up to FRESH_SECONDS old; None if the session has ended."""
        now = time.monotonic()
        with self._lock:
            is_new = session_id not in self._asked
            self._asked[session_id] = now
            if is_new or now > self._fresh_until:
                self._poll(now)
            return self._live.get(session_id)

    def forget(self, session_id: UUID) -> None:
        """Remove a session that was ended, so that its open pages end at once."""
        with self._lock:
            self._asked.pop(session_id, None)
            self._live.pop(session_id, None)

    def _poll(self, now: float) -> None:
        self._asked = {session_id: at for session_id, at in self._asked.items() if now - at < KEPT_SECONDS}
        with self._database.glancing() as session:
            self._live = keys.load_session_keys(session, list(self._asked))
        self._fresh_until = now + FRESH_SECONDS
