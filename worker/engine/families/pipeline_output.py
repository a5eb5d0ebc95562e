"""Reads the images that a diffusers pipeline returns, whatever it calls them and in whatever form they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from common.errors import GenerationError

GREY, RGB, RGBA = 1, 3, 4
"""Channels of an image."""

ONE_PICTURE, PICTURES = 3, 4
"""Dimensions of an array of pixels: height, width and channels, and the number of pictures before them."""


def read_pictures(output: Any) -> torch.Tensor:
    """Return the images in a pipeline's *output*: a float tensor [rows, 3, height, width] from 0 to 1.

    Raises GenerationError unless they are images.
    """
    found = next((value for name in ("images", "image") if (value := getattr(output, name, None)) is not None), None)
    pixels = _to_array(found)
    if pixels.ndim != PICTURES or pixels.shape[-1] not in (GREY, RGB, RGBA):
        raise GenerationError("The model's output is not an RGB image.")
    if pixels.shape[-1] == RGBA:
        pixels = pixels[..., :RGB] * pixels[..., RGB:] + (1 - pixels[..., RGB:])  # over white
    if pixels.shape[-1] == GREY:
        pixels = pixels.repeat(RGB, axis=-1)
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)


def _to_array(found: Any) -> Any:
    """Return the pixels of all images as floats from 0 to 1."""
    if isinstance(found, Image.Image):
        found = [found]
    if isinstance(found, Sequence) and found and all(isinstance(each, Image.Image) for each in found):
        found = np.stack([np.asarray(each.convert("RGB")) for each in found]) / np.float32(255)
    try:
        pixels = np.asarray(found, dtype=np.float32)
    except (TypeError, ValueError):
        raise GenerationError("The model's output is not an image.") from None
    return pixels[None] if pixels.ndim == ONE_PICTURE else pixels
