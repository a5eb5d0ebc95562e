"""Cache of valid API keys: each key is looked up at most once a second, as clients reuse the same key."""

import time
from threading import Lock
from typing import NamedTuple

from cachetools import TLRUCache

from common.access import keys
from common.clock import utcnow
from common.db.engine import Database
from common.tables import ApiKey

FRESH_SECONDS = 1.0
"""How long a key revoked by another process may still be accepted."""

MOST_KEYS = 1000
"""Maximum number of cached keys; only valid keys are cached."""


class KnownKey(NamedTuple):
    """The row of a valid key, and when it was read."""

    row: ApiKey
    read_at: float


class KeyCache:
    """Caches the rows of valid keys for a second."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: TLRUCache[str, KnownKey] = TLRUCache(MOST_KEYS, _compute_expiry)
        self._lock = Lock()

    def find(self, key: str) -> ApiKey | None:
        """Return the row of a valid key and record its use; None if the key is not valid."""
        digest = keys.digest_api_key(key)
        with self._lock:
            known = self._known.get(digest)
        if known is not None:
            return known.row
        began = time.monotonic()
        row = self._look_up(key)
        if row is not None:
            with self._lock:
                self._known[digest] = KnownKey(row, began)
        return row

    def forget(self) -> None:
        """Clear the cache, after a key was revoked."""
        with self._lock:
            self._known.clear()

    def _look_up(self, key: str) -> ApiKey | None:
        with self._database.glancing() as session:
            row = keys.find_api_key(session, key)
        # Checked here first, because then most requests need no write transaction.
        if row is not None and (row.last_used_at is None or utcnow() - row.last_used_at > keys.LAST_USED_PRECISION):
            with self._database.transaction() as session:
                keys.record_api_key_use(session, row)
        return row


def _compute_expiry(_digest: str, known: KnownKey, _now: float) -> float:
    # From before the lookup, which may wait: a key revoked in the meantime must not be accepted for longer.
    return known.read_at + FRESH_SECONDS
