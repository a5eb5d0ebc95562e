"""The port between the engine's loop and the device it drives, so that the loop itself knows no tensor library."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

from PIL import Image

Exposure = Callable[[], Image.Image]
"""A picture on its way from the accelerator; called off the engine's thread, it waits and returns it, or raises."""

Exit = Callable[[int], object]
"""What ends this process with a status, at once."""


class Mark(Protocol):
    """A point in the accelerator's work."""

    def wait(self) -> None:
        """Block until the accelerator has got there."""

    def seconds_since(self, earlier: Self) -> float:
        """Return the accelerator's own time between two marks that it has reached."""


class Accelerator(Protocol):
    """A device that is told what to do and may do it later."""

    @property
    def title(self) -> str:
        """Return what it is called."""

    @property
    def ahead(self) -> int:
        """Return how many passes it is told before the first of them must be done; 0 for one that does things at once.

        One is enough to keep it busy, and not too much to stop.
        """

    def mark(self) -> Mark:
        """Mark the point that its work has been told up to."""

    def working(self) -> AbstractContextManager[object]:
        """Return the context in which one thread may tell it what to do."""

    def translating(self) -> AbstractContextManager[object]:
        """Return a context that turns whatever goes wrong on it into a PressroomError."""

    def expose(self, decoded: Any) -> list[Exposure]:
        """Begin to bring decoded pictures to the host, without waiting for them."""

    def free(self) -> None:
        """Give back the memory that is held but not used."""
