"""What the server and the app tell each other about one request, through the WSGI environment."""

from collections.abc import Callable
from contextlib import ExitStack
from enum import Enum, auto
from typing import Any, cast

SMALL_BODY_BYTES = 256 * 1024
"""Largest body that is read before the app is asked; every larger one must be accepted first."""

SMALL_BODY_SECONDS = 30

KEY = "pressroom.exchange"


class BodyState(Enum):
    """How much of the body of a request was read."""

    COMPLETE = auto()
    OVERSIZED = auto()
    LATE = auto()
    DISCONNECTED = auto()


class Exchange:
    """One request: the state of its body, whether the app accepts a large one, and what to do at the end."""

    def __init__(self) -> None:
        self.state = BodyState.COMPLETE
        self.declared: int | None = None
        self.is_asked = False
        """Whether the app must accept the body now, or refuse the request; the body was not read."""

        self.accepted: tuple[int, float] | None = None
        self.leave_turn: Callable[[], object] = lambda: None
        """To be called by a request that from now on mostly waits, so that another is worked on; idempotent."""

        self._farewell = ExitStack()

    @classmethod
    def of(cls, environ: dict[str, Any]) -> "Exchange":
        """Return the exchange of a WSGI environment; one with a complete body if another server made it."""
        return cast("Exchange", environ.setdefault(KEY, cls()))

    def accept_body(self, limit: int, seconds: float) -> None:
        """Let the server read a body of at most *limit* bytes, for at most *seconds*, and call the app again."""
        self.accepted = limit, seconds

    @property
    def is_preliminary(self) -> bool:
        """Return whether the answer is for the server alone, which goes on to read the body."""
        return self.is_asked and self.accepted is not None

    def call_at_end(self, act: Callable[[], None]) -> None:
        """Call *act* when the answer has been sent or the client has left."""
        self._farewell.callback(act)

    def close(self) -> None:
        """End the exchange; idempotent."""
        self._farewell.close()
