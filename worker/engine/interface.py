"""Interface between the press and an engine: a request in, images out, and a watch that is called at every step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from common.jobs.attempts import Spent
from common.jobs.request import ImageRequest
from common.models.catalog import ModelCard
from common.models.prompt_tokens import PromptTokens
from common.models.text_encoders import TextEncoder
from common.states.jobs import Priority


@dataclass(frozen=True)
class Picture:
    """One generated RGB image; the accelerator seconds of an attempt's images add up to the attempt's."""

    pixels: Image.Image
    seed: int
    gpu_seconds: float
    tokens: PromptTokens | None = None
    """None for a model whose text encoder is not known."""


@dataclass(frozen=True)
class Inputs:
    """A request's input images, already checked, in modes RGB and L and any size."""

    init_image: Image.Image | None = None
    mask_image: Image.Image | None = None  # white areas are repainted, black ones stay


NO_INPUTS = Inputs()


class StepObserver(Protocol):
    """Receives the progress of an attempt and can stop it."""

    def step(self, number: int, spent: Spent) -> None:
        """Handle the completion of *number* steps; raise InterruptedAttemptError to stop the attempt.

        The last call of an attempt, however it ends, carries its total cost.
        """


class NullObserver:
    """The watch for runs without a job: it never stops them."""

    def step(self, number: int, spent: Spent) -> None:
        """Do nothing."""


class Engine(Protocol):
    """Generates images for requests."""

    @property
    def accelerator(self) -> str:
        """Return the device name, as recorded with each attempt."""

    @property
    def capacity(self) -> int:
        """Return the maximum number of images stepped together; known once loaded."""

    @property
    def rates(self) -> dict[str, dict[int, float]]:
        """Return the measured speed: model → batch size → image steps per second."""

    @property
    def text_encoders(self) -> Mapping[str, Sequence[TextEncoder]]:
        """Return the text encoders of each loaded model, as far as they are known."""

    @property
    def warm_lanes(self) -> frozenset[str]:
        """Return the lanes whose jobs should be claimed first; empty for no preference."""

    @property
    def is_stuck(self) -> bool:
        """Return whether the engine hangs and is about to end the process."""

    def load(self) -> dict[str, ModelCard]:
        """Load and try every model, booking the time as overhead; return their cards as tried, by name.

        A model that cannot be used does not stop the others: its card has a fault.
        """

    def weigh(self, request: ImageRequest) -> float:
        """Return the share of the engine that a request takes: 1.0 is a full batch of its lane."""

    def generate(
        self,
        request: ImageRequest,
        watch: StepObserver,
        inputs: Inputs = NO_INPUTS,
        priority: Priority = Priority.INTERACTIVE,
    ) -> list[Picture]:
        """Generate one image for each of the request's seeds, in order.

        Blocks; safe to call from any number of threads. Raises GenerationError, or whatever *watch* raises.
        """

    def close(self) -> None:
        """Stop the engine; current requests end with an error."""
