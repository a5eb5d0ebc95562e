"""Identifiers: time-ordered UUIDs (version 7, RFC 9562), so that indexes grow at one end."""

from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

NO_ID = UUID(int=0)
"""Stands for an id that is missing, where null would not do, such as in a primary key."""


def create_id() -> UUID:
    """Return a fresh UUIDv7, greater than every one that this process made before."""
    return uuid7()


def parse_id(text: str) -> UUID | None:
    """Return the UUID that *text* spells in its canonical form, or None."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text.lower() else None


def compute_first_id(moment: datetime) -> UUID:
    """Return the id before all that were made at *moment* or later: what is ordered by id need not be by time too."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)
