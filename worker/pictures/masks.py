"""Masks of inpainting: what an uploaded mask covers, and what it leaves out stays as it was."""

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image, ImageChops

from common.errors import InvalidMaskError
from worker.engine.interface import Inputs, Picture

MIDDLE_GREY = 128
"""From this brightness on, a model repaints what a mask covers."""

OPAQUE = 255

BLACK, WHITE = 32, 223
"""Up to which brightness, and from which on, a mask's own colours count as black and white."""


def read_mask(asset: Image.Image) -> Image.Image:
    """Return the mask in an asset, in mode L: white is repainted, black and transparent areas are not.

    Strokes on a transparent layer are repainted whatever their colour, as far as they are opaque. Where what is opaque
    has both black and white, its brightness counts, and transparent areas are black.

    Raises InvalidMaskError for a mask that covers nothing, or everything.
    """
    mask = _read_brightness(asset)
    counts = mask.histogram()
    if not any(counts[MIDDLE_GREY:]):
        raise InvalidMaskError(
            "The mask is black or transparent everywhere, so nothing would be repainted; "
            "paint white what is to change, or paint on a transparent layer."
        )
    if not any(counts[:OPAQUE]):
        raise InvalidMaskError(
            "The mask is white everywhere, so everything would be repainted; leave out mask_image if that is what you "
            "want, or paint black what is to stay."
        )
    return mask


def _read_brightness(asset: Image.Image) -> Image.Image:
    grey = asset.convert("RGB").convert("L")
    if "A" not in asset.getbands():
        return grey
    alpha = asset.getchannel("A")
    if not any(alpha.histogram()[:OPAQUE]):
        return grey
    opaque = grey.histogram(alpha.point(lambda value: OPAQUE * (value == OPAQUE)))
    if not (any(opaque[: BLACK + 1]) and any(opaque[WHITE:])):
        return alpha
    # An asset's colours lie on white already; taking that white away again leaves them on black.
    return ImageChops.subtract(grey, ImageChops.invert(alpha))


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
