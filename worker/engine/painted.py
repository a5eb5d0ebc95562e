"""The painted stand-in: draws a picture with a brush instead of a model, at the pace of one, without torch."""

import colorsys
import hashlib
import random
import time
import warnings
from collections.abc import Callable
from threading import BoundedSemaphore

from PIL import Image, ImageDraw, ImageFilter

from common.errors import StandInWarning
from common.requests import ImageRequest
from common.settings import Settings
from worker.engine.port import Picture, Watch
from worker.engine.run import Run
from worker.engine.watchdog import Watchdog
from worker.meter import Meter

SHAPES = 9
ANY = (0, 360)
COOL = (150, 270)
"""Hues in degrees; no sky has the colour of skin, which safety checkers would wonder about."""

Colour = tuple[int, int, int]


class PaintedEngine:
    """Paints the same picture for the same prompt, seed and size; or prints the one it was given, every time."""

    accelerator = "brush"
    capacity = 1
    warm_lanes: frozenset[str] = frozenset()  # all lanes are the same to a brush

    def __init__(
        self,
        settings: Settings,
        meter: Meter,
        picture: Image.Image | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._step_seconds = settings.painted_step_seconds
        self._watchdog = Watchdog(settings.step_timeout_seconds)
        self._meter = meter
        self._picture = picture
        self._sleep = sleep
        self._turn = BoundedSemaphore(self.capacity)

    def load(self) -> None:
        """Warn that no model is at work."""
        warnings.warn("The painted stand-in prints instead of a model.", StandInWarning, stacklevel=2)

    def generate(self, request: ImageRequest, watch: Watch) -> list[Picture]:
        """Paint one picture for each seed, sleeping through each step."""
        with self._turn, Run(request, watch, self._meter.account(), self._watchdog) as run:
            return [self._print(request, seed, run) for seed in request.seeds]

    def _print(self, request: ImageRequest, seed: int, run: Run) -> Picture:
        pixels = self._pixels(request, seed)
        run.end_encoding()
        for number in range(1, request.steps + 1):
            self._sleep(self._step_seconds)
            run.end_step(number, request.steps)
        return Picture(pixels, seed, run.end_picture())

    def _pixels(self, request: ImageRequest, seed: int) -> Image.Image:
        if self._picture is not None:
            return self._picture.convert("RGB").resize((request.width, request.height))
        return paint(request.prompt, seed, request.width, request.height)


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
