"""The painted stand-in: the real loop, with a brush for an accelerator and a model that sleeps; without torch."""

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Self

from PIL import Image

from common.errors import StandInWarning
from common.jobs.request import ImageRequest
from common.models.catalog import PAINTED, PAINTED_CARD
from common.settings import Settings
from worker.engine.accelerator import Exposure
from worker.engine.batching import BatchingEngine
from worker.engine.painting import blend, paint, paint_donkey
from worker.engine.port import Inputs
from worker.engine.residents import Resident
from worker.meter import Meter

MOST_ROWS = 4

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Moment:
    """A mark of something that has happened when it is told."""

    at: float

    def wait(self) -> None:
        """Return."""

    def seconds_since(self, earlier: Self) -> float:
        """Return the time between two moments."""
        return self.at - earlier.at


class Brush:
    """An accelerator that does at once what it is told."""

    title = "brush"
    ahead = 0

    def mark(self) -> Moment:
        """Return the present moment."""
        return Moment(time.perf_counter())

    def working(self) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return nullcontext()

    def translating(self) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return nullcontext()

    def expose(self, decoded: Sequence[Exposure]) -> list[Exposure]:
        """Return the pictures as they come."""
        return list(decoded)

    def free(self) -> None:
        """Do nothing."""


@dataclass(eq=False)
class Painting:
    """One picture being painted."""

    request: ImageRequest
    seed: int
    inputs: Inputs
    done: int = 0

    @property
    def total(self) -> int:
        """Return how many steps it takes."""
        return self.request.steps_taken

    def close(self) -> None:
        """Give it up."""


class PaintedFamily:
    """Paints the same picture for the same prompt, seed and size, and a donkey for whoever asks for one.

    Or prints the one picture that it was given, every time.
    """

    most_rows = MOST_ROWS

    def __init__(self, step_seconds: float, picture: Image.Image | None, sleep: Sleep) -> None:
        self._step_seconds = step_seconds
        self._picture = picture
        self._sleep = sleep

    def begin(self, request: ImageRequest, seeds: Sequence[int], inputs: Inputs) -> list[Painting]:
        """Return a painting for each seed."""
        return [Painting(request, seed, inputs) for seed in seeds]

    def step(self, drawings: Sequence[Painting]) -> None:
        """Sleep through one step, however many are in it."""
        self._sleep(self._step_seconds)
        for drawing in drawings:
            drawing.done += 1

    def decode(self, drawings: Sequence[Painting]) -> list[Exposure]:
        """Return the paintings, to be painted by whoever looks."""
        return [lambda drawing=drawing: self._pixels(drawing) for drawing in drawings]  # type: ignore[misc]

    def _pixels(self, drawing: Painting) -> Image.Image:
        request = drawing.request
        size = (request.width, request.height)
        if self._picture is not None:
            return self._picture.convert("RGB").resize(size)
        if "donkey" in request.prompt.split():
            return paint_donkey(*size)
        painted = paint(request.prompt, drawing.seed, *size)
        if drawing.inputs.init_image is None:
            return painted
        return blend(drawing.inputs.init_image, painted, drawing.inputs.mask_image, request.strength)


class PaintedEngine(BatchingEngine):
    """The engine of a press that offers nothing but the stand-in."""

    def __init__(
        self, settings: Settings, meter: Meter, picture: Image.Image | None = None, sleep: Sleep = time.sleep
    ) -> None:
        super().__init__(
            settings,
            {PAINTED: (PAINTED_CARD, None)},
            meter,
            accelerator=Brush(),
            load=lambda _card, _directory: Resident(PaintedFamily(settings.painted_step_seconds, picture, sleep)),
            budget_bytes=0,
        )

    def load(self) -> None:
        """Warn that no model is at work."""
        warnings.warn("The painted stand-in prints instead of a model.", StandInWarning, stacklevel=2)
        super().load()
