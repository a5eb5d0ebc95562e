"""What makes a loaded model faster: memory format, joined projections, narrow integers, compiled code.

The words are those of the setting ``PRESSROOM_SPEED``; docs/performance.md says what each gave, and where.
"""

from collections.abc import Collection
from typing import Any

import torch
from torch.nn import ModuleList

from common.errors import SettingsError
from common.settings import PREFIX
from worker.torch_device import Device

MEASURED_TO_HELP = {"cpu": frozenset({"channels_last"})}
"""What ``auto`` stands for, by kind of device."""

TRIED = ("int8", "fp8", "compile")
"""What can be missing on a machine: a package, a compiler, or instructions of the device."""

MOST_COMPILED = 64
"""Shapes for which one part of a model is kept compiled; beyond them torch runs it as it is."""

NARROW = ("emb", "norm")
"""In names of layers that see one row for each picture: too few to gain, and too few for some kernels."""

PROBE = 64
"""Rows and columns of the layer that is tried."""


def choose(words: Collection[str], device: Device) -> frozenset[str]:
    """Return what to do on *device*, each tried on a small layer; raise SettingsError, a sentence, if one fails."""
    chosen = frozenset(words) - {"auto", "none"}
    if "auto" in words:
        chosen |= MEASURED_TO_HELP.get(device.torch.type, frozenset())
    for word in TRIED:
        if word in chosen:
            _try(word, device)
    return chosen


def apply(pipeline: Any, chosen: Collection[str]) -> Any:
    """Do what was chosen to a loaded pipeline and return it; a word that a model has no use for changes nothing."""
    denoiser = find_denoiser(pipeline)
    if denoiser is None:
        return pipeline
    if "channels_last" in chosen:
        # Weights are enough: a convolution gives its output in their format, so nobody need convert the latents.
        for part in (denoiser, getattr(pipeline, "vae", None)):
            if part is not None:
                part.to(memory_format=torch.channels_last)
    _rework(denoiser, chosen)
    return pipeline


def is_compiled(pipeline: Any) -> bool:
    """Tell whether the pipeline's denoiser is compiled: then each new number of rows costs a compilation."""
    denoiser = find_denoiser(pipeline)
    return denoiser is not None and any(part._compiled_call_impl is not None for part in denoiser.modules())  # noqa: SLF001


def round_up(rows: int) -> int:
    """Return the number of rows that a compiled model is given for so many: 1, 2, 4, 8, 16 and so on."""
    return 1 << (rows - 1).bit_length()


def find_denoiser(pipeline: Any) -> Any:
    """Return the model that takes the steps, or None where the pipeline keeps it under a name of its own."""
    for name in ("unet", "transformer"):
        part = getattr(pipeline, name, None)
        if isinstance(part, torch.nn.Module):
            return part
    return None


def _rework(denoiser: Any, chosen: Collection[str]) -> None:
    """Change the layers themselves, in the one order that works: join them, narrow them, compile what came of it."""
    if "fuse_qkv" in chosen and hasattr(denoiser, "fuse_qkv_projections"):
        denoiser.fuse_qkv_projections()
    for word in ("int8", "fp8"):
        if word in chosen:
            _quantize(denoiser, word)
    if "compile" in chosen:
        _compile(denoiser)


def _compile(denoiser: Any) -> None:
    """Have the model compiled for each shape when it is first seen.

    A transformer is little but its repeated blocks, so one compiled block serves all, in a fraction of the time. What
    a U-Net repeats is only its smaller half, and it is compiled whole.
    """
    options: dict[str, Any] = {"dynamic": False, "recompile_limit": MOST_COMPILED}
    blocks = {type(block).__name__ for part in denoiser.children() if isinstance(part, ModuleList) for block in part}
    if blocks and blocks <= set(getattr(denoiser, "_repeated_blocks", None) or ()):
        denoiser.compile_repeated_blocks(**options)
    else:
        denoiser.compile(**options)


def _quantize(module: torch.nn.Module, word: str) -> None:
    """Have the linear layers multiply in 8 bits, inputs scaled as they come (Dettmers et al., 2022; torchao)."""
    from torchao.quantization import quantize_  # noqa: PLC0415  (an extra, which takes a second to import)

    quantize_(module, _configuration(word), filter_fn=_is_wide)


def _configuration(word: str) -> Any:
    import torchao.quantization as torchao  # noqa: PLC0415  (the same)

    if word == "int8":
        return torchao.Int8DynamicActivationInt8WeightConfig()
    return torchao.Float8DynamicActivationFloat8WeightConfig(granularity=torchao.PerRow())


def _is_wide(module: torch.nn.Module, name: str) -> bool:
    return isinstance(module, torch.nn.Linear) and not any(part in name for part in NARROW)


class _Probe(torch.nn.Module):
    """One small layer, and something after it that a compiler writes code for."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(PROBE, PROBE)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.sin(self.layer(rows))


def _try(word: str, device: Device) -> None:
    """Do to one small layer what is to be done to a model, so that what is missing shows before a job is taken."""
    probe = _Probe().to(device.torch, device.dtype)
    try:
        _rework(probe, {word})
        with torch.no_grad():
            probe(torch.zeros(PROBE, PROBE, device=device.torch, dtype=device.dtype))
        device.finish()
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise SettingsError(f"{PREFIX}SPEED: {word} needs {package}, which the extra `quantize` installs.") from error
    except Exception as error:  # compilers and kernels fail in ways of their own; here it means one thing
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SettingsError(f"{PREFIX}SPEED: {word} does not work on this device, {device.title}: {reason}") from error
