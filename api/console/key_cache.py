"""Cache the API keys of open pages: one query every two seconds looks them all up."""

import threading
import time
from uuid import UUID

from common import keys
from common.db.engine import Database
from common.tables import ApiKey

FRESH_SECONDS = 2.0
"""How long a live page keeps working after its key is revoked; other pages look the key up each time."""

KEPT_SECONDS = 60.0
"""How long a key stays in the query after its last request."""


class LiveKeyCache:
    """The cache of live keys of open pages."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._asked: dict[UUID, float] = {}
        self._live: dict[UUID, ApiKey] = {}
        self._fresh_until = 0.0

    def find(self, key_id: UUID) -> ApiKey | None:
        """Return the row of a live key, up to FRESH_SECONDS old, or None."""
        now = time.monotonic()
        with self._lock:
            is_new = key_id not in self._asked
            self._asked[key_id] = now
            if is_new or now > self._fresh_until:
                self._poll(now)
            return self._live.get(key_id)

    def _poll(self, now: float) -> None:
        self._asked = {key_id: at for key_id, at in self._asked.items() if now - at < KEPT_SECONDS}
        with self._database.glancing() as session:
            self._live = keys.load_live_api_keys(session, list(self._asked))
        self._fresh_until = now + FRESH_SECONDS
