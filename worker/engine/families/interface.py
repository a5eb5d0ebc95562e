"""The port between the engine's loop and a kind of model: begin some pictures, step them together, decode them."""

from collections.abc import Sequence
from typing import Any, Protocol

from common.jobs.request import ImageRequest
from worker.engine.interface import Inputs


class Drawing(Protocol):
    """One picture in the making; what it consists of is its family's own business."""

    seed: int

    @property
    def done(self) -> int:
        """Return how many of its steps are done."""

    @property
    def total(self) -> int:
        """Return how many steps it takes; img2img takes fewer than were asked for."""

    def close(self) -> None:
        """Give it up; nothing more is asked of it."""


class Family(Protocol):
    """One loaded model; only the engine's thread calls it."""

    @property
    def most_rows(self) -> int | None:
        """Return how many pictures it can step together, or None where only memory and time set a bound."""

    def begin(self, request: ImageRequest, seeds: Sequence[int], inputs: Inputs) -> list[Any]:
        """Encode the prompt once and return a drawing for each seed, no step done. Raises what torch raises."""

    def step(self, drawings: Sequence[Any]) -> None:
        """Take one denoising step with all *drawings*, which are of one lane; all or none of them are advanced."""

    def decode(self, drawings: Sequence[Any]) -> Any:
        """Return the finished pictures: a float tensor [rows, 3, height, width] from 0 to 1, on the accelerator."""
