"""Masks of inpainting: what an uploaded mask covers, and what it leaves out stays as it was."""

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image, ImageChops

from worker.engine.interface import Inputs, Picture


def read_mask(asset: Image.Image) -> Image.Image:
    """Return the mask in an asset, in mode L: white is repainted, black and transparent areas are not.

    An asset's colours lie on white already; taking that white away again leaves them on black, as brushes that paint
    white strokes on a transparent layer mean them.
    """
    grey = asset.convert("RGB").convert("L")
    if "A" not in asset.getbands():
        return grey
    return ImageChops.subtract(grey, ImageChops.invert(asset.getchannel("A")))


def restore_pictures(pictures: Sequence[Picture], inputs: Inputs) -> list[Picture]:
    """Return generated images with the pixels of the init image wherever the mask is black.

    A model decodes the whole image again, which changes every pixel a little. Where the mask is grey, the two are mixed
    in its proportion: its own soft edge is that of the result.
    """
    if inputs.init_image is None or inputs.mask_image is None:
        return [*pictures]
    return [replace(each, pixels=_paste_back(each.pixels, inputs.init_image, inputs.mask_image)) for each in pictures]


def _paste_back(generated: Image.Image, init: Image.Image, mask: Image.Image) -> Image.Image:
    size = generated.size
    # The init image is resized like the model's input, so that both lie on each other; the mask without overshooting.
    below = init.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    return Image.composite(generated, below, mask.resize(size, Image.Resampling.BILINEAR))
