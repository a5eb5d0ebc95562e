"""What the painted stand-in draws: a sky, some shapes and the prompt, decided by the request to the last pixel."""

import colorsys
import hashlib
import random

from PIL import Image, ImageDraw, ImageFilter

from worker.checks.fixtures import DONKEY, flatten

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
