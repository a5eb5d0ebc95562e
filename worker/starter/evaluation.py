"""Evaluate images of known pairs: whether the background and the subject are the requested ones.

The corner colour is the median of four 6-pixel squares. Each subject is then laid on that very colour at several
sizes and places, both ways round, and the one with the smallest mean square difference is the answer: no learned
judge is involved.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from PIL import Image

from worker.starter import pictures
from worker.starter.pictures import Pixels, Placement
from worker.starter.subjects import Colour, Pair, Vocabulary

SIZES = (0.76, 0.80, 0.84, 0.88)
OFFSETS = (-0.03, 0.0, 0.03)
SIDE = 32  # images are compared at a quarter of their side: faster, and independent of fine sharpness
Patches = np.ndarray[tuple[int, int], np.dtype[np.float32]]


@dataclass(frozen=True)
class Verdict:
    """The recognized content of an image."""

    asked: Pair
    background: str
    subject: str


@dataclass(frozen=True)
class Templates:
    """Every subject at every place: coverage and premultiplied colour, for any background."""

    names: list[str]
    owner: np.ndarray[tuple[int], np.dtype[np.int64]]
    cover: np.ndarray[tuple[int, int, int], np.dtype[np.float32]]  # template, pixel, 1
    ink: np.ndarray[tuple[int, int, int], np.dtype[np.float32]]  # template, pixel, channel

    def over(self, colour: Colour) -> Patches:
        """Composite all templates on a plain colour, one row each, with values from 0 to 1."""
        plain = np.asarray(colour, np.float32) / 255
        laid = self.ink + (1 - self.cover) * plain
        return laid.reshape(len(self.ink), -1).astype(np.float32, copy=False)


def build_templates(sprites: dict[str, Image.Image]) -> Templates:
    """Compose every subject on black and on white, from which coverage and ink follow."""
    owner, on_black, on_white = [], [], []
    for number, sprite in enumerate(sprites.values()):
        for size, x, y, flipped in product(SIZES, OFFSETS, OFFSETS, (False, True)):
            layer = [(sprite, Placement(size, 0.5 + x, 0.5 + y, flipped))]
            owner.append(number)
            on_black.append(pictures.compose_picture(layer, (0, 0, 0), SIDE))
            on_white.append(pictures.compose_picture(layer, (255, 255, 255), SIDE))
    ink = np.stack(on_black).reshape(len(owner), -1, 3).astype(np.float32) / np.float32(255)
    white = np.stack(on_white).reshape(len(owner), -1, 3).astype(np.float32) / np.float32(255)
    cover = (1 - (white - ink).mean(axis=2, keepdims=True)).astype(np.float32, copy=False)
    return Templates(list(sprites), np.array(owner), cover, ink)


def measure_corner_colour(picture: Pixels, edge: int = 6) -> Colour:
    """Return the median colour of the four corners."""
    corners = [
        picture[rows, columns].reshape(-1, 3) for rows, columns in product((slice(edge), slice(-edge, None)), repeat=2)
    ]
    red, green, blue = np.median(np.concatenate(corners), axis=0)
    return int(red), int(green), int(blue)


def find_nearest_background(colour: Colour, vocabulary: Vocabulary) -> str:
    """Return the name of the background with the nearest sRGB value."""
    return min(
        vocabulary.backgrounds,
        key=lambda name: sum((a - b) ** 2 for a, b in zip(colour, vocabulary.backgrounds[name], strict=True)),
    )


def find_nearest_subject(picture: Pixels, colour: Colour, templates: Templates) -> str:
    """Return the subject of the template with the smallest mean square difference."""
    small = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BOX)
    wanted = np.asarray(small, np.float32).reshape(-1) / 255
    laid = templates.over(colour)
    distance = np.einsum("ij,ij->i", laid, laid) - 2 * laid @ wanted
    return templates.names[int(templates.owner[int(distance.argmin())])]


def evaluate_picture(picture: Pixels, asked: Pair, vocabulary: Vocabulary, templates: Templates) -> Verdict:
    """Return the recognized and the requested content of one image."""
    colour = measure_corner_colour(picture)
    return Verdict(asked, find_nearest_background(colour, vocabulary), find_nearest_subject(picture, colour, templates))


def compute_shares(verdicts: list[Verdict]) -> tuple[float, float]:
    """Return the shares of right backgrounds and of right subjects."""
    backgrounds = sum(verdict.background == verdict.asked[1] for verdict in verdicts)
    subjects = sum(verdict.subject == verdict.asked[0] for verdict in verdicts)
    return backgrounds / len(verdicts), subjects / len(verdicts)
