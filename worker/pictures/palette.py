"""Dominant colours of an image, and how well they match a palette.

Pixels are clustered in CIELAB, where equal distances look about equal, and compared by CIEDE2000 (CIE 142-2001), which
measures how different two colours look: 1 is about the smallest visible difference, 100 is black against white.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from coloraide import Color
from PIL import Image, ImageCms

SIDE = 48
"""Pixels in the reduced image: enough for shares to within one or two percent, in a few milliseconds."""

MOST_COLOURS = 8
SMALLEST_SHARE = 0.01
SAME = 5.0
"""Difference up to which two colours look the same at a glance."""

OTHER = 25.0
"""Difference from which two colours have nothing in common."""

_TO_LAB = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")


@dataclass(frozen=True)
class Swatch:
    """A colour and its share of the image, from 0 to 1."""

    colour: Color
    share: float

    def as_json(self) -> dict[str, str | float]:
        """Return the value stored with the image."""
        shown = self.colour.convert("srgb").clip()
        return {"colour": shown.to_string(hex=True), "share": round(self.share, 3)}


def find_colours(picture: Image.Image) -> list[Swatch]:
    """Return the dominant colours of an RGB *picture*, largest share first; the shares add up to 1."""
    small = picture.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    bands = _TO_LAB.apply(small).split()
    # Pillow clusters any three bands by distance, not only RGB.
    clusters = Image.merge("RGB", bands).quantize(
        MOST_COLOURS, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
    )
    values = clusters.getpalette() or []
    counts = {place: count for place, count in enumerate(clusters.histogram()) if count >= SMALLEST_SHARE * SIDE * SIDE}
    total = sum(counts.values())
    found = [Swatch(_decode_lab(values[3 * place : 3 * place + 3]), count / total) for place, count in counts.items()]
    return sorted(found, key=lambda swatch: -swatch.share)


def score_palette(colours: Sequence[Swatch], palette: Sequence[str]) -> float:
    """Return how well *colours* match *palette* (``#rrggbb`` each), from 0 to 1.

    Each share counts by the difference between its colour and the palette's nearest: fully up to 5, not at all from 25,
    and linearly less in between.
    """
    wanted = [Color(colour).convert("lab-d65") for colour in palette]
    closeness = sum(swatch.share * _compute_closeness(swatch.colour, wanted) for swatch in colours)
    return round(min(1.0, closeness), 3)


def _compute_closeness(colour: Color, wanted: Sequence[Color]) -> float:
    nearest = min(colour.delta_e(each, method="2000") for each in wanted)
    return min(1.0, max(0.0, (OTHER - nearest) / (OTHER - SAME)))


def _decode_lab(values: Sequence[int]) -> Color:
    """Convert three bytes of an ICC Lab profile (white point D50) to a colour under D65, as in sRGB."""
    lightness, a, b = values
    return Color("lab", [lightness / 255 * 100, a - 128, b - 128]).convert("lab-d65")
