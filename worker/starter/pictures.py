"""Compose training images: a sprite on a plain background at a chosen place and size, possibly flipped."""

import random
from dataclasses import dataclass

import numpy as np
from PIL import Image

from worker.starter.subjects import Colour

Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]


@dataclass(frozen=True)
class Placement:
    """Longest side and centre as fractions of the picture's side; flipped left to right or not."""

    size: float
    x: float = 0.5
    y: float = 0.5
    flipped: bool = False


@dataclass(frozen=True)
class Range:
    """Allowed sizes, and the distance of a centre from its anchor: small, so that placement is learned early."""

    smallest: float = 0.80
    largest: float = 0.86
    offset: float = 0.015
    flipped: float = 0.2  # evenly flipped subjects are learned late: at first their two sides are drawn at once


def draw_placement(dice: random.Random, spread: Range, anchor: tuple[float, float] = (0.5, 0.5)) -> Placement:
    """Draw a random placement that keeps the whole subject inside the picture."""
    size = dice.uniform(spread.smallest, spread.largest)
    free = min(spread.offset, min(anchor[0], 1 - anchor[0], anchor[1], 1 - anchor[1]) - size / 2)
    reach = max(free, 0.0)
    x, y = (centre + dice.uniform(-reach, reach) for centre in anchor)
    return Placement(size, x, y, dice.random() < spread.flipped)


def compose_picture(layers: list[tuple[Image.Image, Placement]], background: Colour, side: int) -> Pixels:
    """Composite sprites on a plain background; return side x side x 3 bytes."""
    canvas = Image.new("RGB", (side, side), background)
    for sprite, placement in layers:
        scale = placement.size * side / max(sprite.size)
        width, height = (max(1, round(length * scale)) for length in sprite.size)
        layer = sprite.resize((width, height), Image.Resampling.LANCZOS)
        if placement.flipped:
            layer = layer.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        corner = (round(placement.x * side - width / 2), round(placement.y * side - height / 2))
        canvas.paste(layer, corner, layer)
    return np.asarray(canvas)


def build_contact_sheet(pictures: list[Pixels], columns: int, gap: int = 2) -> Image.Image:
    """Arrange pictures of one size on one white sheet, row by row."""
    side = pictures[0].shape[0]
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (side + gap) - gap, rows * (side + gap) - gap), "white")
    for place, pixels in enumerate(pictures):
        row, column = divmod(place, columns)
        sheet.paste(Image.fromarray(pixels), (column * (side + gap), row * (side + gap)))
    return sheet
