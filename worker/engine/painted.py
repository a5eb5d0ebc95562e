"""The painted stand-in model: the real engine loop without torch, with drawn images instead of a model."""

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
from common.models.catalog import PAINTED, PAINTED_CARD, ModelCard
from common.models.prompt_tokens import PromptTokens
from common.models.text_encoders import TextEncoder
from common.settings import Settings
from worker.engine.accelerator import Exposure
from worker.engine.engine import BatchingEngine
from worker.engine.interface import Inputs
from worker.engine.model_cache import LoadedModel
from worker.metering.meter import Meter
from worker.self_test_image import DONKEY, flatten_alpha

SHAPES = 9
ANY = (0, 360)
COOL = (150, 270)
"""Sky hues in degrees; skin colours are left out, because safety checkers react to them."""

Colour = tuple[int, int, int]


def paint_picture(prompt: str, seed: int, width: int, height: int) -> Image.Image:
    """Return an image fully determined by the arguments: a sky, some shapes and the prompt."""
    digest = hashlib.sha256(f"{seed}|{width}x{height}|{prompt}".encode()).digest()
    dice = random.Random(digest)  # noqa: S311  (a brush, not a secret)
    picture = _draw_sky(dice, width, height)
    veil = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    brush = ImageDraw.Draw(veil)
    for _ in range(SHAPES):
        radius = dice.uniform(0.05, 0.3) * min(width, height)
        x, y = dice.uniform(0, width), dice.uniform(0, height)
        box = (x - radius, y - radius, x + radius, y + radius)
        draw = dice.choice((brush.ellipse, brush.rectangle))
        draw(box, fill=(*_pick_colour(dice, ANY), dice.randint(90, 200)))
    picture.paste(veil, (0, 0), veil.filter(ImageFilter.GaussianBlur(1)))
    size = max(8, min(width, height) // 16)
    writing = ImageDraw.Draw(picture)
    writing.text(
        (size, height - 2 * size), _shorten_prompt(prompt), fill=(255, 255, 255), font_size=size, stroke_width=1
    )
    return picture


def paint_donkey(width: int, height: int) -> Image.Image:
    """Return the harmless image that the default checker blocks, so that blocking can be tested."""
    with Image.open(DONKEY) as donkey:
        return flatten_alpha(donkey).resize((width, height), Image.Resampling.LANCZOS)


def _draw_sky(dice: random.Random, width: int, height: int) -> Image.Image:
    gradient = Image.linear_gradient("L").rotate(dice.choice((0, 90, 180, 270))).resize((width, height))
    start, end = (Image.new("RGB", (width, height), _pick_colour(dice, COOL)) for _ in range(2))
    return Image.composite(start, end, gradient)


def _pick_colour(dice: random.Random, hues: tuple[int, int]) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(dice.randint(*hues) / 360, dice.uniform(0.35, 0.7), dice.uniform(0.5, 0.9))
    return round(255 * red), round(255 * green), round(255 * blue)


def _shorten_prompt(prompt: str) -> str:
    """Return the start of *prompt*, limited to characters of the built-in font."""
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in prompt[:60])


def blend_pictures(
    init_image: Image.Image, painted: Image.Image, mask: Image.Image | None, strength: float
) -> Image.Image:
    """Return *painted* blended over *init_image* with opacity *strength*, only where *mask* is white."""
    below = init_image.convert("RGB").resize(painted.size)
    above = Image.blend(below, painted, strength)
    if mask is None:
        return above
    return Image.composite(above, below, mask.convert("L").resize(painted.size))


MOST_ROWS = 4

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class InstantMark:
    """A mark on a synchronous device."""

    at: float

    def wait(self) -> None:
        """Return."""

    def seconds_since(self, earlier: Self) -> float:
        """Return the time between two moments."""
        return self.at - earlier.at


class PaintedAccelerator:
    """A synchronous accelerator that runs on the CPU."""

    title = "brush"
    ahead = 0
    is_crowded = False

    def mark(self) -> InstantMark:
        """Return the present moment."""
        return InstantMark(time.perf_counter())

    def working(self) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return nullcontext()

    def translating(self) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return nullcontext()

    def expose(self, decoded: Sequence[Exposure]) -> list[Exposure]:
        """Return the images unchanged."""
        return list(decoded)

    def free(self) -> None:
        """Do nothing."""


@dataclass(eq=False)
class Painting:
    """One image being painted."""

    request: ImageRequest
    seed: int
    inputs: Inputs
    done: int = 0

    @property
    def total(self) -> int:
        """Return how many steps it takes."""
        return self.request.steps_taken

    def close(self) -> None:
        """Abandon the painting."""


class PaintedFamily:
    """Paint the same image for the same prompt, seed and size, and a donkey for prompts that ask for one.

    Or return the given image every time.
    """

    most_rows = MOST_ROWS

    def __init__(self, step_seconds: float, picture: Image.Image | None, sleep: Sleep) -> None:
        self._step_seconds = step_seconds
        self._picture = picture
        self._sleep = sleep

    def begin(self, request: ImageRequest, seeds: Sequence[int], inputs: Inputs) -> list[Painting]:
        """Return a painting for each seed."""
        return [Painting(request, seed, inputs) for seed in seeds]

    def count_tokens(self, request: ImageRequest) -> PromptTokens | None:
        """Return that all words were read."""
        return PromptTokens(len(request.prompt.split()), 0)

    def list_encoders(self) -> list[TextEncoder]:
        """Return none: it has no tokenizer."""
        return []

    def step(self, drawings: Sequence[Painting]) -> None:
        """Sleep for one step, whatever the batch size."""
        self._sleep(self._step_seconds)
        for drawing in drawings:
            drawing.done += 1

    def decode(self, drawings: Sequence[Painting]) -> list[Exposure]:
        """Return the paintings, painted when they are fetched."""
        return [lambda drawing=drawing: self._pixels(drawing) for drawing in drawings]  # type: ignore[misc]

    def _pixels(self, drawing: Painting) -> Image.Image:
        request = drawing.request
        size = (request.width, request.height)
        if self._picture is not None:
            return self._picture.convert("RGB").resize(size)
        if "donkey" in request.prompt.split():
            return paint_donkey(*size)
        painted = paint_picture(request.prompt, drawing.seed, *size)
        if drawing.inputs.init_image is None:
            return painted
        return blend_pictures(drawing.inputs.init_image, painted, drawing.inputs.mask_image, request.strength)


class PaintedEngine(BatchingEngine):
    """The engine of a press that only offers the painted model."""

    def __init__(
        self, settings: Settings, meter: Meter, picture: Image.Image | None = None, sleep: Sleep = time.sleep
    ) -> None:
        super().__init__(
            settings,
            {PAINTED: (PAINTED_CARD, None)},
            meter,
            accelerator=PaintedAccelerator(),
            load=lambda _card, _directory: LoadedModel(PaintedFamily(settings.painted_step_seconds, picture, sleep)),
            budget_bytes=0,
        )

    def load(self) -> dict[str, ModelCard]:
        """Log a warning that images are not generated by a model."""
        warnings.warn("The painted stand-in generates the images instead of a model.", StandInWarning, stacklevel=2)
        return super().load()
