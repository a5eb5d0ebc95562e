"""Perceptual fingerprints of images, robust against stripped metadata, resizing and compression.

``shape`` finds: 64 bits, cut into bands by which a database finds what is near (multi-index hashing: Norouzi, Punjani
and Fleet, 2012). ``look`` confirms: the colours of 8 × 8 places. By ``shape`` alone drawings of one style pass for each
other. ``common.images.perceptual_hash`` takes them.
"""

from dataclasses import dataclass
from operator import sub

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
        """Return whether both are likely to be of one picture."""
        return self.distance(other) <= NEAR and max(map(abs, map(sub, self.look, other.look))) <= ALIKE


def list_neighbours(band: int) -> list[int]:
    """Return *band* and the 16 that differ from it in one bit."""
    return [band, *(band ^ 1 << bit for bit in range(BAND_BITS))]
