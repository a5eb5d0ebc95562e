"""The larger MobileNetV2 of nsfwjs, a second checker for drawings, in torch, loaded from its npm package.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018, at width 1.4; trained by GantMan, packed
by Infinite Red (MIT). Batch normalisation is folded into the weights, which are bytes with a scale and an offset.
"""

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from common.errors import SafetyUnavailableError
from common.safety.nsfwjs_package import DIGEST, MODEL, SHARDS

SIDE = 224
RESIDUALS = frozenset({2, 4, 5, 7, 8, 9, 11, 12, 14, 15})
HALVING = frozenset({1, 3, 6, 13})
LAST_BLOCK = 16
COUNTED = (1, 3, 4)
"""The classes that count, out of Drawing, Hentai, Neutral, Porn and Sexy."""

WEIGHT = re.compile(r'\{name:"([^"]+)",shape:(\[[0-9,]*\]),dtype:"float32",quantization:\{([^}]*)\}\}')
PACKED = re.compile(r'exports="([A-Za-z0-9+/=]*)"')
INSTALL = "Run `pressroom safety fetch` to download them."


class NsfwjsNetwork:
    """Sum the network's probabilities for its three nudity classes."""

    name = "nsfwjs"
    digest = DIGEST

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._weights: dict[str, torch.Tensor] = {}

    def load(self, device: torch.device) -> None:
        """Load the weights; raise SafetyUnavailableError unless they match the pinned digest."""
        try:
            files = [(self._folder / name).read_bytes() for name in (MODEL, *SHARDS)]
        except OSError as error:
            reason = error.strerror
            raise SafetyUnavailableError(f"The weights of nsfwjs cannot be read: {reason}. {INSTALL}") from error
        if hashlib.sha256(b"".join(files)).hexdigest() != DIGEST:
            raise SafetyUnavailableError("The weights of nsfwjs do not match the pinned digest.")
        model, *shards = (file.decode() for file in files)
        packed = b"".join(base64.b64decode(_search_text(PACKED, shard)) for shard in shards)
        self._weights = {name: tensor.to(device) for name, tensor in _unpack_weights(model, packed).items()}

    def prepare(self, picture: Image.Image) -> torch.Tensor:
        """Return the image scaled from 0 to 1 and resized corner-aligned, as the package's own code does."""
        pixels = torch.from_numpy(np.asarray(picture, np.float32) / 255).permute(2, 0, 1)[None]
        return functional.interpolate(pixels, (SIDE, SIDE), mode="bilinear", align_corners=True)

    def measure(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the combined log-odds of the three classes."""
        weights = self._weights
        hidden = functional.relu6(_apply_convolution(2 * pixels - 1, weights, "Conv/Conv2D", stride=2))
        for number in range(LAST_BLOCK + 1):
            hidden = _apply_bottleneck(hidden, weights, number)
        hidden = functional.relu6(_apply_convolution(hidden, weights, "Conv_1/Conv2D")).mean(dim=(2, 3))
        shares = functional.softmax(hidden @ weights["dense"] + weights["dense_bias"], dim=1)
        return torch.logit(shares[0, list(COUNTED)].sum(), eps=1e-6)

    def score(self, measured: float) -> float:
        """Return the combined probability of the three classes."""
        return float(torch.sigmoid(torch.tensor(measured)))


def _apply_bottleneck(entering: torch.Tensor, weights: dict[str, torch.Tensor], number: int) -> torch.Tensor:
    prefix = f"expanded_conv_{number}" if number else "expanded_conv"
    hidden = entering
    if number:
        hidden = functional.relu6(_apply_convolution(hidden, weights, f"{prefix}/expand/Conv2D"))
    stride = 2 if number in HALVING else 1
    hidden = functional.relu6(_apply_convolution(hidden, weights, f"{prefix}/depthwise/depthwise", stride))
    hidden = _apply_convolution(hidden, weights, f"{prefix}/project/Conv2D")
    return entering + hidden if number in RESIDUALS else hidden


def _apply_convolution(
    entering: torch.Tensor, weights: dict[str, torch.Tensor], name: str, stride: int = 1
) -> torch.Tensor:
    kernel, bias = weights[f"{name}_weights"], weights[f"{name}_bn_offset"]
    groups = entering.shape[1] if kernel.shape[1] == 1 and name.endswith("depthwise") else 1
    return functional.conv2d(_pad_same(entering, kernel.shape[2], stride), kernel, bias, stride, groups=groups)


def _pad_same(entering: torch.Tensor, side: int, stride: int) -> torch.Tensor:
    """Pad like TensorFlow's SAME: an odd pixel goes to the right and the bottom."""
    size = entering.shape[2]
    missing = max((-(-size // stride) - 1) * stride + side - size, 0)
    before, after = missing // 2, missing - missing // 2
    return functional.pad(entering, (before, after, before, after))


def _unpack_weights(model: str, packed: bytes) -> dict[str, torch.Tensor]:
    weights, at = {}, 0
    for name, shape_text, quantization in WEIGHT.findall(model):
        shape = json.loads(shape_text)
        count = int(np.prod(shape, dtype=np.int64))
        least, scale = (
            float(_search_text(re.compile(rf"{word}:(-?[0-9.e-]+)"), quantization)) for word in ("min", "scale")
        )
        numbers = np.frombuffer(packed, np.uint8, count, at).astype(np.float32) * scale + least
        weights[_shorten_name(name)] = _transpose_kernel(torch.from_numpy(numbers).reshape(shape), name)
        at += count
    if at != len(packed):
        raise SafetyUnavailableError("The weights of nsfwjs are truncated.")
    return weights


def _shorten_name(name: str) -> str:
    if name.startswith("Func/"):
        return "dense" if name.endswith("_262") else "dense_bias"
    return name.partition("/MobilenetV2/")[2] or name.rpartition("/predict/")[2]


def _transpose_kernel(tensor: torch.Tensor, name: str) -> torch.Tensor:
    """Convert a kernel from TensorFlow's axis order to torch's."""
    if name.endswith("depthwise_weights"):
        return tensor.permute(2, 3, 0, 1).contiguous()
    return tensor.permute(3, 2, 0, 1).contiguous() if name.endswith("_weights") else tensor


def _search_text(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    if found is None:
        raise SafetyUnavailableError("The weights of nsfwjs cannot be parsed.")
    return found[1]
