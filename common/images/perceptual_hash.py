"""Computes the fingerprint of an image.

``shape`` holds the signs of the 64 lowest frequencies of the brightness (pHash: Zauner, "Implementation and
benchmarking of perceptual image hash functions", 2010), ``look`` the mean colours of 8 × 8 places.
"""

import math
from collections.abc import Iterable
from functools import cache
from operator import mul

from PIL import Image

from common.images.fingerprint import Fingerprint

SIDE = 32
PLACES = 8
"""Frequencies, and places, each way; their square fills a 64-bit integer."""

_SIGN = 1 << 63


def compute_fingerprint(picture: Image.Image) -> Fingerprint:
    """Return the fingerprint of an RGB picture."""
    look = picture.resize((PLACES, PLACES), Image.Resampling.BOX).tobytes()
    small = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS).tobytes()
    return Fingerprint(_compute_hash(small), look)


def _compute_hash(small: bytes) -> int:
    waves = _compute_cosines()
    rows = [small[start : start + SIDE] for start in range(0, SIDE * SIDE, SIDE)]
    across = [[sum(map(mul, wave, row)) for row in rows] for wave in waves]
    strengths = [sum(map(mul, wave, column)) for wave in waves for column in across]
    middle = sorted(strengths[1:])[len(strengths) // 2]  # the first is the mean brightness, far off the others
    return _pack_bits(strength > middle for strength in strengths)


@cache
def _compute_cosines() -> list[list[float]]:
    """Return the cosines of the lowest frequencies of the DCT-II."""
    return [
        [math.cos(math.pi * frequency * (2 * place + 1) / (2 * SIDE)) for place in range(SIDE)]
        for frequency in range(PLACES)
    ]


def _pack_bits(bits: Iterable[bool]) -> int:
    number = sum(1 << place for place, bit in enumerate(bits) if bit)
    return (number ^ _SIGN) - _SIGN  # as databases store it
