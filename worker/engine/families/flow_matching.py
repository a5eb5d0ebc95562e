"""What the models that match flows have in common: a schedule that may look at the picture's size."""

import inspect
from typing import Any

import torch
from diffusers.pipelines.flux.pipeline_flux import calculate_shift


def shift(config: Any, tokens: int, most: float) -> float:
    """Return mu: how far the schedule of a picture of so many *tokens* leans towards noise; *most* where none is set.

    Esser et al. (2024), section 5.3.2.
    """
    mu: float = calculate_shift(
        tokens,
        config.get("base_image_seq_len", 256),
        config.get("max_image_seq_len", 4096),
        config.get("base_shift", 0.5),
        config.get("max_shift", most),
    )
    return mu


def step_options(scheduler: Any, dice: torch.Generator) -> dict[str, Any]:
    """Return what its steps take: the picture's own dice, where it may throw any."""
    return {"generator": dice} if "generator" in inspect.signature(scheduler.step).parameters else {}
