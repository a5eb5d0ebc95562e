"""Speed optimizations for a loaded model: memory format, fused projections, quantization, compilation.

The names are those of the setting ``PRESSROOM_SPEED``; docs/performance.md lists the measured effect of each.
"""

from collections.abc import Collection
from typing import Any

import torch
from torch.nn import ModuleList

from common.errors import SettingsError
from common.settings import PREFIX
from worker.engine.torch_backend.errors import describe_error
from worker.torch_device import Device

MEASURED_TO_HELP = {"cpu": frozenset({"channels_last"})}
"""Optimizations applied by ``auto``, by kind of device."""

TRIED_SPEEDUPS = ("int8", "fp8", "compile")
"""Optimizations whose requirements may be missing: a package, a compiler, or device instructions."""

MOST_COMPILED = 64
"""Number of shapes compiled per part of a model; beyond it torch runs that part uncompiled."""

NARROW = ("emb", "norm")
"""Name parts of layers with one row per image: too few rows to gain, and too few for some kernels."""

CONVOLUTION_WEIGHTS = 4
"""Dimensions of the weights of a 2-D convolution."""

PROBE = 64
"""Rows and columns of the trial layer."""


def choose_speedups(words: Collection[str], device: Device) -> frozenset[str]:
    """Return the optimizations for *device*, each tried on a small layer; raise SettingsError if one fails."""
    chosen = frozenset(words) - {"auto", "none"}
    if "auto" in words:
        chosen |= MEASURED_TO_HELP.get(device.torch.type, frozenset())
    for word in TRIED_SPEEDUPS:
        if word in chosen:
            _try_speedup(word, device)
    return chosen


def apply_speedups(pipeline: Any, chosen: Collection[str]) -> Any:
    """Apply the chosen optimizations to a loaded pipeline and return it; inapplicable ones have no effect."""
    denoiser = find_denoiser(pipeline)
    if denoiser is None:
        return pipeline
    if "channels_last" in chosen:
        # Converting the weights is enough: a convolution's output has their format, so the latents need no conversion.
        for part in (denoiser, getattr(pipeline, "vae", None)):
            if part is not None:
                _convert_to_channels_last(part)
    _optimize_denoiser(denoiser, chosen)
    return pipeline


def is_compiled(pipeline: Any) -> bool:
    """Return whether the pipeline's denoiser is compiled; each new number of rows then needs a compilation."""
    denoiser = find_denoiser(pipeline)
    return denoiser is not None and any(part._compiled_call_impl is not None for part in denoiser.modules())  # noqa: SLF001


def round_up_rows(rows: int) -> int:
    """Return the padded number of rows for a compiled model: 1, 2, 4, 8, 16 and so on."""
    return 1 << (rows - 1).bit_length()


def find_denoiser(pipeline: Any) -> Any:
    """Return the denoising model, or None if the pipeline keeps it under an unknown name."""
    for name in ("unet", "transformer"):
        part = getattr(pipeline, name, None)
        if isinstance(part, torch.nn.Module):
            return part
    return None


def _convert_to_channels_last(part: torch.nn.Module) -> None:
    """Convert the weights of 2-D convolutions; the format does not exist for others, such as those of video models."""
    for parameter in part.parameters():
        if parameter.dim() == CONVOLUTION_WEIGHTS:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)


def _optimize_denoiser(denoiser: Any, chosen: Collection[str]) -> None:
    """Change the layers in the only order that works: fuse, quantize, then compile."""
    if "fuse_qkv" in chosen and hasattr(denoiser, "fuse_qkv_projections"):
        denoiser.fuse_qkv_projections()
    for word in ("int8", "fp8"):
        if word in chosen:
            _quantize_layers(denoiser, word)
    if "compile" in chosen:
        _compile_denoiser(denoiser)


def _compile_denoiser(denoiser: Any) -> None:
    """Compile the model for each shape on first use.

    A transformer consists mostly of repeated blocks, so one compiled block serves all of them, in a fraction of the
    time. In a U-Net the repeated blocks are the smaller half, so it is compiled as a whole.
    """
    options: dict[str, Any] = {"dynamic": False, "recompile_limit": MOST_COMPILED}
    blocks = {type(block).__name__ for part in denoiser.children() if isinstance(part, ModuleList) for block in part}
    if blocks and blocks <= set(getattr(denoiser, "_repeated_blocks", None) or ()):
        denoiser.compile_repeated_blocks(**options)
    else:
        denoiser.compile(**options)


def _quantize_layers(module: torch.nn.Module, word: str) -> None:
    """Quantize the linear layers to 8 bits, with dynamically scaled inputs (Dettmers et al., 2022; torchao)."""
    from torchao.quantization import quantize_  # noqa: PLC0415  (an optional extra that takes a second to import)

    quantize_(module, _create_quantization_config(word), filter_fn=_is_wide)


def _create_quantization_config(word: str) -> Any:
    import torchao.quantization as torchao  # noqa: PLC0415  (the same)

    if word == "int8":
        return torchao.Int8DynamicActivationInt8WeightConfig()
    return torchao.Float8DynamicActivationFloat8WeightConfig(granularity=torchao.PerRow())


def _is_wide(module: torch.nn.Module, name: str) -> bool:
    return isinstance(module, torch.nn.Linear) and not any(part in name for part in NARROW)


class _Probe(torch.nn.Module):
    """A small layer followed by an operation that a compiler can fuse."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(PROBE, PROBE)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.sin(self.layer(rows))


def _try_speedup(word: str, device: Device) -> None:
    """Apply an optimization to one small layer, so that missing requirements are found before a job is claimed."""
    probe = _Probe().to(device.torch, device.dtype)
    try:
        _optimize_denoiser(probe, {word})
        with torch.no_grad():
            probe(torch.zeros(PROBE, PROBE, device=device.torch, dtype=device.dtype))
        device.finish()
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise SettingsError(f"{PREFIX}SPEED: {word} requires {package}; install the extra `quantize`.") from error
    except Exception as error:  # compilers and kernels may raise anything; it means: unavailable
        reason = describe_error(error)
        raise SettingsError(f"{PREFIX}SPEED: {word} does not work on this device, {device.title}: {reason}") from error
