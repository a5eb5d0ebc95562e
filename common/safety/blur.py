"""Heavy blur: what is left of a picture is its colours and where they are, or for a reviewer a single colour."""

from PIL import Image

PUBLISHED_CELLS = 8
"""Colours along the longer side of a picture that is published blurred.

Nobody can make out what it shows; a program that has the very picture among a few others can still tell which it is.
"""

DARK, LIGHT = 64, 191
MIDDLE = 128


def blur_picture(picture: Image.Image, cells: int = PUBLISHED_CELLS) -> Image.Image:
    """Return *picture* in its size, made of so many colours along its longer side and no other information."""
    scale = cells / max(picture.size)
    small = picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.BOX
    )
    return small.resize(picture.size, Image.Resampling.BICUBIC)


def reduce_to_colour(picture: Image.Image) -> Image.Image:
    """Return a picture of the same size in one of eight colours: each channel of its mean colour, dark or light.

    A grid of even eight by eight colours, or the exact mean colour, tells a program that has 96 pictures which of them
    it is nine times out of ten. Eight colours leave too little for that, whatever the size of the picture.
    """
    mean = picture.convert("RGB").resize((1, 1), Image.Resampling.BOX)
    return mean.point(lambda value: DARK if value < MIDDLE else LIGHT).resize(picture.size)
