"""Shared code of flow-matching models: a schedule that may depend on the image size."""

import inspect
from typing import Any

import torch
from diffusers.pipelines.flux.pipeline_flux import calculate_shift


def compute_shift(config: Any, tokens: int, most: float) -> float:
    """Return mu, the shift of the schedule towards noise for an image of *tokens* tokens; *most* if not configured.

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


def build_step_options(scheduler: Any, dice: torch.Generator) -> dict[str, Any]:
    """Return the step arguments: the image's random generator, if the scheduler uses one."""
    return {"generator": dice} if "generator" in inspect.signature(scheduler.step).parameters else {}
