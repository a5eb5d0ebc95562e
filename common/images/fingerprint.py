"""Fingerprints: what a picture looks like, in a form that hardly changes when a copy is stripped, resized, compressed.

``shape`` finds: 64 bits, cut into bands by which a database finds what is near (multi-index hashing: Norouzi, Punjani
and Fleet, 2012). ``look`` confirms: the colours of 8 × 8 places. By ``shape`` alone drawings of one style pass for each
other. ``common.images.fingerprint`` takes them.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from operator import mul, sub

from PIL import Image

NEAR = 7
"""Bits of ``shape`` that may differ in two copies: so that of four bands one differs in a single bit at most."""

ALIKE = 18
"""Steps of 255 by which a place may differ in two copies; nine in ten of small, strongly compressed ones stay at 12."""

BANDS = 4
BAND_BITS = 16


@dataclass(frozen=True)
class Fingerprint:
    """What a picture looks like: a signed 64-bit integer, and three bytes for each place."""

    shape: int
    look: bytes

    @property
    def bands(self) -> tuple[int, ...]:
        """Return ``shape`` in parts of 16 bits."""
        return tuple(self.shape >> BAND_BITS * band & (1 << BAND_BITS) - 1 for band in range(BANDS))

    def distance(self, other: "Fingerprint") -> int:
        """Return in how many bits of ``shape`` the two differ."""
        return ((self.shape ^ other.shape) & (1 << 64) - 1).bit_count()

    def is_near(self, other: "Fingerprint") -> bool:
        """Tell whether both are likely to be of one picture."""
        return self.distance(other) <= NEAR and max(map(abs, map(sub, self.look, other.look))) <= ALIKE


def neighbours(band: int) -> list[int]:
    """Return *band* and the 16 that differ from it in one bit."""
    return [band, *(band ^ 1 << bit for bit in range(BAND_BITS))]


SIDE = 32
PLACES = 8
"""Frequencies, and places, each way; their square fills a 64-bit integer."""

_SIGN = 1 << 63


def take_fingerprint(picture: Image.Image) -> Fingerprint:
    """Return the fingerprint of an RGB picture."""
    look = picture.resize((PLACES, PLACES), Image.Resampling.BOX).tobytes()
    small = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS).tobytes()
    return Fingerprint(_shape(small), look)


def _shape(small: bytes) -> int:
    waves = _waves()
    rows = [small[start : start + SIDE] for start in range(0, SIDE * SIDE, SIDE)]
    across = [[sum(map(mul, wave, row)) for row in rows] for wave in waves]
    strengths = [sum(map(mul, wave, column)) for wave in waves for column in across]
    middle = sorted(strengths[1:])[len(strengths) // 2]  # the first is the mean brightness, far off the others
    return _pack(strength > middle for strength in strengths)


@cache
def _waves() -> list[list[float]]:
    """Return the cosines of the lowest frequencies of the DCT-II."""
    return [
        [math.cos(math.pi * frequency * (2 * place + 1) / (2 * SIDE)) for place in range(SIDE)]
        for frequency in range(PLACES)
    ]


def _pack(bits: Iterable[bool]) -> int:
    number = sum(1 << place for place, bit in enumerate(bits) if bit)
    return (number ^ _SIGN) - _SIGN  # as databases store it
