"""The port between the press and whatever prints: a request in, pictures out, and a watch told of every step."""

from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from common.jobs.attempts import Spent
from common.jobs.request import ImageRequest
from common.tables.states import Priority


@dataclass(frozen=True)
class Picture:
    """One printed picture, RGB; its accelerator seconds add up to those of its attempt with its siblings'."""

    pixels: Image.Image
    seed: int
    gpu_seconds: float


@dataclass(frozen=True)
class Inputs:
    """The pictures that a request starts from, checked, RGB and L, in any size."""

    init_image: Image.Image | None = None
    mask_image: Image.Image | None = None  # white is what is made anew


NO_INPUTS = Inputs()


class Watch(Protocol):
    """A job's eyes on its attempt."""

    def step(self, number: int, spent: Spent) -> None:
        """Hear that *number* of the request's steps are done; raise InterruptedAttemptError to stop the attempt.

        The last call of an attempt, however it ends, carries all that it spent.
        """


class Unwatched:
    """The watch of a run that is no job's: it lets everything pass."""

    def step(self, number: int, spent: Spent) -> None:
        """Do nothing."""


class Engine(Protocol):
    """What prints."""

    @property
    def accelerator(self) -> str:
        """Return the name of the device that it prints on, as the books show it."""

    @property
    def capacity(self) -> int:
        """Return how many pictures it may step together at most; known once it is loaded."""

    @property
    def rates(self) -> dict[str, dict[int, float]]:
        """Return what it knows of its speed: model → pictures stepped together → steps of pictures a second."""

    @property
    def warm_lanes(self) -> frozenset[str]:
        """Return the lanes whose jobs it would rather print next; empty when all are the same to it."""

    @property
    def is_stuck(self) -> bool:
        """Tell whether it hangs, and is about to end the process with itself."""

    def load(self) -> None:
        """Get ready to print; what that takes is booked as overhead. Raises ModelUnavailableError."""

    def weigh(self, request: ImageRequest) -> float:
        """Return what share of the engine a request takes: 1.0 is a full batch of its lane."""

    def generate(
        self,
        request: ImageRequest,
        watch: Watch,
        inputs: Inputs = NO_INPUTS,
        priority: Priority = Priority.INTERACTIVE,
    ) -> list[Picture]:
        """Print one picture for each of the request's seeds, in their order.

        Blocks; safe to call from any number of threads. Raises GenerationError, or whatever *watch* raises.
        """

    def close(self) -> None:
        """Stop printing; requests in hand end with an error."""
