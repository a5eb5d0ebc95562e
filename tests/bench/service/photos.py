"""Photo-like pictures: how long a PNG takes depends on its content, and random weights draw nothing like a photo.

Light from the side, soft shapes, texture on every scale as in nature (amplitude ∝ 1/frequency) and the noise of a
sensor; all from one seed, so every run encodes the same.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SHAPES = 12
COARSEST = 4
"""Texels across of the coarsest texture; each finer one has twice as many and half the amplitude."""

TEXTURE, GRAIN = 40.0, 2.5
"""Amplitudes of the coarsest texture and of the sensor's noise, of 255."""


def draw_photo(side: int, seed: int = 0) -> Image.Image:
    """Return an RGB picture of *side* × *side* pixels."""
    dice = np.random.default_rng(seed)
    brightness = np.asarray(_draw_scene(side, dice), np.float32)
    texels = COARSEST
    while texels < side:
        brightness = brightness + _texture(texels, side, dice) * TEXTURE * COARSEST / texels
        texels *= 2
    noisy = brightness + dice.normal(0, GRAIN, brightness.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _draw_scene(side: int, dice: np.random.Generator) -> Image.Image:
    light = Image.linear_gradient("L").rotate(90).resize((side, side))
    scene = Image.composite(
        Image.new("RGB", light.size, (205, 185, 160)), Image.new("RGB", light.size, (60, 80, 120)), light
    )
    brush = ImageDraw.Draw(scene)
    for _ in range(SHAPES):
        radius, x, y = dice.uniform(0.05, 0.25) * side, dice.uniform(0, side), dice.uniform(0, side)
        colour = tuple(int(part) for part in dice.integers(30, 225, 3))
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return scene.filter(ImageFilter.GaussianBlur(side / 200))


def _texture(texels: int, side: int, dice: np.random.Generator) -> np.ndarray:
    """Return grey noise of so many texels across with a little colour, from -1 to 1, one value for each pixel."""
    coarse = dice.uniform(-1, 1, (texels, texels, 1)) + dice.uniform(-0.2, 0.2, (texels, texels, 3))
    channels = [Image.fromarray(coarse[:, :, place].astype(np.float32)) for place in range(3)]
    return np.stack([np.asarray(one.resize((side, side), Image.Resampling.BICUBIC)) for one in channels], axis=2)
