"""The colours of a picture, and how well they keep to a palette.

Pixels are gathered into a few clusters in CIELAB, where equal distances look about equal, and compared by CIEDE2000
(CIE 142-2001), which says how different two colours look: 1 is about the least that an eye can tell, 100 black beside
white.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from coloraide import Color
from PIL import Image, ImageCms

SIDE = 48
"""Pixels of the reduced picture that is looked at: for shares to within a percent or two, and a few milliseconds."""

MOST_COLOURS = 8
SMALLEST_SHARE = 0.01
SAME = 5.0
"""A difference up to which two colours pass for the same at a glance."""

OTHER = 25.0
"""A difference from which one colour has nothing of the other."""

_TO_LAB = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")


@dataclass(frozen=True)
class Swatch:
    """A colour of a picture, and the share of it that has it, from 0 to 1."""

    colour: Color
    share: float

    def as_json(self) -> dict[str, str | float]:
        """Return what is kept of it with the image."""
        shown = self.colour.convert("srgb").clip()
        return {"colour": shown.to_string(hex=True), "share": round(self.share, 3)}


def find_colours(picture: Image.Image) -> list[Swatch]:
    """Return the dominant colours of an RGB *picture*, the largest share first; the shares add up to 1."""
    small = picture.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    bands = _TO_LAB.apply(small).split()
    # To Pillow three bands are three bands: it clusters by distance whatever they mean.
    clusters = Image.merge("RGB", bands).quantize(
        MOST_COLOURS, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
    )
    values = clusters.getpalette() or []
    counts = {place: count for place, count in enumerate(clusters.histogram()) if count >= SMALLEST_SHARE * SIDE * SIDE}
    total = sum(counts.values())
    found = [Swatch(_read_lab(values[3 * place : 3 * place + 3]), count / total) for place, count in counts.items()]
    return sorted(found, key=lambda swatch: -swatch.share)


def score(colours: Sequence[Swatch], palette: Sequence[str]) -> float:
    """Return how well *colours* keep to *palette* (``#rrggbb`` each), from 0 to 1.

    Each share of the picture counts by how near its colour is to the palette's nearest: wholly up to a difference of 5,
    not at all from 25, in between evenly less.
    """
    wanted = [Color(colour).convert("lab-d65") for colour in palette]
    closeness = sum(swatch.share * _closeness(swatch.colour, wanted) for swatch in colours)
    return round(min(1.0, closeness), 3)


def _closeness(colour: Color, wanted: Sequence[Color]) -> float:
    nearest = min(colour.delta_e(each, method="2000") for each in wanted)
    return min(1.0, max(0.0, (OTHER - nearest) / (OTHER - SAME)))


def _read_lab(values: Sequence[int]) -> Color:
    """Return the colour of three bytes of an ICC Lab profile (white point D50), seen under D65 like sRGB."""
    lightness, a, b = values
    return Color("lab", [lightness / 255 * 100, a - 128, b - 128]).convert("lab-d65")
