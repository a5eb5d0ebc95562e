"""What the console keeps while the api runs: sessions, the count of sign-ins, and what many pages share."""

from dataclasses import dataclass
from typing import Self, cast
from urllib.parse import urlsplit

from flask import current_app
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from api.console.fragment_cache import Snapshots
from api.console.key_cache import KeyRing
from api.console.session import Sessions
from api.runtime.context import Context

EXTENSION = "pressroom_console"
SIGN_INS = RateLimitItemPerMinute(20)
"""Tries to sign in from one address; a key cannot be guessed, but each guess costs a look into the database."""


@dataclass(frozen=True)
class Desk:
    """The console's own things."""

    sessions: Sessions
    sign_ins: MovingWindowRateLimiter
    snapshots: Snapshots
    key_ring: KeyRing
    image_origin: str | None
    """Where images come from if not from this server."""

    @classmethod
    def of(cls, context: Context) -> Self:
        """Return the desk of an app with this context."""
        return cls(
            sessions=Sessions(context.settings.read_secret()),
            sign_ins=MovingWindowRateLimiter(MemoryStorage()),
            snapshots=Snapshots(),
            key_ring=KeyRing(context.database),
            image_origin=None if context.links is not None else _find_origin(context),
        )


def desk() -> Desk:
    """Return the desk of the app that handles this request."""
    return cast("Desk", current_app.extensions[EXTENSION])


def _find_origin(context: Context) -> str:
    url = urlsplit(context.storage.sign("console", content_type="image/png", filename="console", seconds=60))
    return f"{url.scheme}://{url.netloc}"
