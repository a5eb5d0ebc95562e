"""Interface between the engine's loop and its device, so that the loop does not depend on a tensor library."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

from PIL import Image

Exposure = Callable[[], Image.Image]
"""A pending image copy; called outside the engine's thread, it waits and returns the image, or raises."""

Exit = Callable[[int], object]
"""A function that ends this process at once with an exit status."""


class Mark(Protocol):
    """A point in the accelerator's work."""

    def wait(self) -> None:
        """Block until the accelerator reaches this point."""

    def seconds_since(self, earlier: Self) -> float:
        """Return the accelerator time between two reached marks."""


class Accelerator(Protocol):
    """A device that accepts work and may run it asynchronously."""

    @property
    def title(self) -> str:
        """Return the device name."""

    @property
    def ahead(self) -> int:
        """Return how many passes may be submitted ahead; 0 for a synchronous device.

        One is enough to keep the device busy, and few enough to stop quickly.
        """

    @property
    def is_crowded(self) -> bool:
        """Return whether other processes hold a notable part of its memory now."""

    def mark(self) -> Mark:
        """Mark the current point in the submitted work."""

    def working(self) -> AbstractContextManager[object]:
        """Return the context in which one thread may submit work."""

    def translating(self) -> AbstractContextManager[object]:
        """Return a context that turns device errors into a PressroomError."""

    def expose(self, decoded: Any) -> list[Exposure]:
        """Start copying decoded images to the host, without waiting."""

    def free(self) -> None:
        """Release cached memory that is not in use."""
