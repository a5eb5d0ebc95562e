"""Cache of valid API keys: each key is looked up at most once a second, as clients reuse the same key."""

import time

from common import keys
from common.clock import utcnow
from common.db.engine import Database
from common.tables import ApiKey

FRESH_SECONDS = 1.0
"""How long a key revoked by another process may still be accepted."""

MOST_KEYS = 1000
"""Maximum number of cached keys; only valid keys are cached."""


class KeyCache:
    """Caches the rows of valid keys for a second."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, ApiKey]] = {}

    def find(self, key: str) -> ApiKey | None:
        """Return the row of a valid key and record its use; None if the key is not valid."""
        digest = keys.digest_api_key(key)
        until, row = self._known.get(digest, (0.0, None))
        if row is not None and time.monotonic() < until:
            return row
        until = time.monotonic() + FRESH_SECONDS
        row = self._look_up(key)
        if row is None:
            self._known.pop(digest, None)
            return None
        if len(self._known) >= MOST_KEYS:
            self._known.clear()
        self._known[digest] = (until, row)
        return row

    def forget(self) -> None:
        """Clear the cache, after a key was revoked."""
        self._known.clear()

    def _look_up(self, key: str) -> ApiKey | None:
        with self._database.glancing() as session:
            row = keys.find_api_key(session, key)
        # Checked here first, because then most requests need no write transaction.
        if row is not None and (row.last_used_at is None or utcnow() - row.last_used_at > keys.LAST_USED_PRECISION):
            with self._database.transaction() as session:
                keys.record_api_key_use(session, row)
        return row
