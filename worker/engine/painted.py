"""The painted stand-in: the real loop, with a brush for an accelerator and a model that sleeps; without torch."""

import colorsys
import hashlib
import random
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Self

from PIL import Image, ImageDraw, ImageFilter

from common.errors import StandInWarning
from common.jobs.request import ImageRequest
from common.models.catalog import PAINTED, PAINTED_CARD
from common.settings import Settings
from worker.engine.accelerator import Exposure
from worker.engine.engine import BatchingEngine
from worker.engine.interface import Inputs
from worker.engine.model_cache import Resident
from worker.metering.meter import Meter
from worker.self_test_image import DONKEY, flatten

SHAPES = 9
ANY = (0, 360)
COOL = (150, 270)
"""Hues in degrees; no sky has the colour of skin, which safety checkers would wonder about."""

Colour = tuple[int, int, int]


def paint(prompt: str, seed: int, width: int, height: int) -> Image.Image:
    """Return a picture that these four decide to the last pixel: a sky, some shapes and the prompt."""
    digest = hashlib.sha256(f"{seed}|{width}x{height}|{prompt}".encode()).digest()
    dice = random.Random(digest)  # noqa: S311  (a brush, not a secret)
    picture = _sky(dice, width, height)
    veil = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    brush = ImageDraw.Draw(veil)
    for _ in range(SHAPES):
        radius = dice.uniform(0.05, 0.3) * min(width, height)
        x, y = dice.uniform(0, width), dice.uniform(0, height)
        box = (x - radius, y - radius, x + radius, y + radius)
        draw = dice.choice((brush.ellipse, brush.rectangle))
        draw(box, fill=(*_colour(dice, ANY), dice.randint(90, 200)))
    picture.paste(veil, (0, 0), veil.filter(ImageFilter.GaussianBlur(1)))
    size = max(8, min(width, height) // 16)
    writing = ImageDraw.Draw(picture)
    writing.text((size, height - 2 * size), _line(prompt), fill=(255, 255, 255), font_size=size, stroke_width=1)
    return picture


def paint_donkey(width: int, height: int) -> Image.Image:
    """Return the harmless picture that the default checker refuses, so that a refusal can be had from the stand-in."""
    with Image.open(DONKEY) as donkey:
        return flatten(donkey).resize((width, height), Image.Resampling.LANCZOS)


def _sky(dice: random.Random, width: int, height: int) -> Image.Image:
    gradient = Image.linear_gradient("L").rotate(dice.choice((0, 90, 180, 270))).resize((width, height))
    start, end = (Image.new("RGB", (width, height), _colour(dice, COOL)) for _ in range(2))
    return Image.composite(start, end, gradient)


def _colour(dice: random.Random, hues: tuple[int, int]) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(dice.randint(*hues) / 360, dice.uniform(0.35, 0.7), dice.uniform(0.5, 0.9))
    return round(255 * red), round(255 * green), round(255 * blue)


def _line(prompt: str) -> str:
    """Return the start of *prompt* as the built-in font can write it."""
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in prompt[:60])


def blend(init_image: Image.Image, painted: Image.Image, mask: Image.Image | None, strength: float) -> Image.Image:
    """Return *painted* laid over *init_image*: as opaque as *strength*, and only where *mask* is white."""
    below = init_image.convert("RGB").resize(painted.size)
    above = Image.blend(below, painted, strength)
    if mask is None:
        return above
    return Image.composite(above, below, mask.convert("L").resize(painted.size))


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
