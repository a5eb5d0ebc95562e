"""The console's in-process state: sessions, the sign-in rate limit, and shared caches."""

from dataclasses import dataclass
from typing import Self, cast

from flask import current_app

from api.console.failed_sign_ins import FailedSignIns
from api.console.fragment_cache import FragmentCache
from api.console.key_cache import LiveKeyCache
from api.console.session import Sessions
from api.runtime.context import AppContext

EXTENSION = "pressroom_console"


@dataclass(frozen=True)
class ConsoleState:
    """The console's state."""

    sessions: Sessions
    failed_sign_ins: FailedSignIns
    snapshots: FragmentCache
    key_ring: LiveKeyCache
    image_origin: str | None
    """The origin of image URLs if it is not this server."""

    @classmethod
    def of(cls, context: AppContext) -> Self:
        """Return the state for an app with this context."""
        return cls(
            sessions=Sessions(context.settings.read_secret()),
            failed_sign_ins=FailedSignIns(),
            snapshots=FragmentCache(),
            key_ring=LiveKeyCache(context.database),
            image_origin=None if context.links is not None else context.files.find_origin(),
        )


def console_state() -> ConsoleState:
    """Return the state of the current app."""
    return cast("ConsoleState", current_app.extensions[EXTENSION])
