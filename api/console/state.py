"""The console's in-process state: sessions, the sign-in rate limit, and shared caches."""

from dataclasses import dataclass
from typing import Self, cast
from urllib.parse import urlsplit

from flask import current_app
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from api.console.fragment_cache import FragmentCache
from api.console.key_cache import LiveKeyCache
from api.console.session import Sessions
from api.runtime.context import AppContext

EXTENSION = "pressroom_console"
SIGN_IN_LIMIT = RateLimitItemPerMinute(20)
"""Failed sign-ins allowed per address; keys cannot be guessed, but each attempt costs a database query."""


@dataclass(frozen=True)
class ConsoleState:
    """The console's state."""

    sessions: Sessions
    sign_ins: MovingWindowRateLimiter
    snapshots: FragmentCache
    key_ring: LiveKeyCache
    image_origin: str | None
    """The origin of image URLs if it is not this server."""

    @classmethod
    def of(cls, context: AppContext) -> Self:
        """Return the state for an app with this context."""
        return cls(
            sessions=Sessions(context.settings.read_secret()),
            sign_ins=MovingWindowRateLimiter(MemoryStorage()),
            snapshots=FragmentCache(),
            key_ring=LiveKeyCache(context.database),
            image_origin=None if context.links is not None else _find_origin(context),
        )


def console_state() -> ConsoleState:
    """Return the state of the current app."""
    return cast("ConsoleState", current_app.extensions[EXTENSION])


def _find_origin(context: AppContext) -> str:
    url = urlsplit(context.storage.sign("console", content_type="image/png", filename="console", seconds=60))
    return f"{url.scheme}://{url.netloc}"
