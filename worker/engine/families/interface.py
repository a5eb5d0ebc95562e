"""Interface between the engine's loop and a model family: begin images, step them together, decode them."""

from collections.abc import Sequence
from typing import Any, Protocol

from common.jobs.request import ImageRequest
from common.models.prompt_tokens import PromptTokens
from common.models.text_encoders import TextEncoder
from worker.engine.interface import Inputs


class Drawing(Protocol):
    """One image in progress; its contents are private to its family."""

    seed: int

    @property
    def done(self) -> int:
        """Return the number of steps done."""

    @property
    def total(self) -> int:
        """Return the number of steps; img2img takes fewer than requested."""

    def close(self) -> None:
        """Abandon the drawing; it is not used again."""


class Family(Protocol):
    """One loaded model; only the engine's thread calls it."""

    @property
    def most_rows(self) -> int | None:
        """Return the maximum batch size, or None if only memory and time limit it."""

    @property
    def economies(self) -> int:
        """Return in how many ways the decoder can save memory: 1 by slicing, 2 by tiling as well."""

    def economize(self, level: int) -> None:
        """Let the decoder save memory in the first *level* ways, and in no others."""

    def begin(self, request: ImageRequest, seeds: Sequence[int], inputs: Inputs) -> list[Any]:
        """Encode the prompt once and return an initial drawing for each seed. Raises torch's errors."""

    def count_tokens(self, request: ImageRequest) -> PromptTokens | None:
        """Return how much of the prompt the model reads; None if that is not known."""

    def list_encoders(self) -> list[TextEncoder]:
        """Return the text encoders with which ``count_tokens`` counts; none if others cannot count with them."""

    def step(self, drawings: Sequence[Any]) -> None:
        """Take one denoising step with all *drawings* of one lane; either all or none advance."""

    def decode(self, drawings: Sequence[Any]) -> Any:
        """Return the finished images: a float tensor [rows, 3, height, width] from 0 to 1, on the accelerator."""
