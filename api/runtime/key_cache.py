"""The API keys at hand: each is looked up at most once a second, for a client at work sends the same one every time."""

import time

from common import keys
from common.clock import utcnow
from common.db.engine import Database
from common.tables import ApiKey

FRESH_SECONDS = 1.0
"""How long a key may still open that was revoked by another process."""

MOST = 1000
"""Keys at most that are remembered; only such as are valid are."""


class Keyring:
    """Remembers the rows of valid keys for a second."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, ApiKey]] = {}

    def find(self, key: str) -> ApiKey | None:
        """Return the row of a valid key, and note its use; None for any other."""
        digest = keys.digest(key)
        until, row = self._known.get(digest, (0.0, None))
        if row is not None and time.monotonic() < until:
            return row
        until = time.monotonic() + FRESH_SECONDS
        row = self._look_up(key)
        if row is None:
            self._known.pop(digest, None)
            return None
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[digest] = (until, row)
        return row

    def forget(self) -> None:
        """Look all keys up again: one was revoked."""
        self._known.clear()

    def _look_up(self, key: str) -> ApiKey | None:
        with self._database.glancing() as session:
            row = keys.find(session, key)
        # Asked here first, because most requests then need no transaction that writes.
        if row is not None and (row.last_used_at is None or utcnow() - row.last_used_at > keys.LAST_USED_PRECISION):
            with self._database.transaction() as session:
                keys.note_use(session, row)
        return row
