"""Heavy blur: what is left of a picture is its colours and where they are."""

from PIL import Image

PUBLISHED_CELLS = 8
"""Colours along the longer side of a picture that is published blurred: nothing of it can be made out."""

PREVIEW_CELLS = 24
"""The same for a reviewer, who must tell a donkey from what may be no donkey."""


def blur_picture(picture: Image.Image, cells: int = PUBLISHED_CELLS) -> Image.Image:
    """Return *picture* in its size, made of so many colours along its longer side and no other information."""
    scale = cells / max(picture.size)
    small = picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.BOX
    )
    return small.resize(picture.size, Image.Resampling.BICUBIC)
