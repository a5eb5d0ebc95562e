"""The schedulers that may be asked for by name, each made from the model's own configuration."""

import copy
from collections.abc import Callable
from typing import Any

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LCMScheduler,
    UniPCMultistepScheduler,
)

from common.catalog import Family
from common.errors import GenerationError
from common.requests import SchedulerName

_DIFFUSING: dict[SchedulerName, tuple[Any, dict[str, Any]]] = {
    SchedulerName.EULER: (EulerDiscreteScheduler, {"use_karras_sigmas": False}),
    SchedulerName.EULER_ANCESTRAL: (EulerAncestralDiscreteScheduler, {}),
    # Latents have no bounds; DDIM's own default would cut them off at 1.
    SchedulerName.DDIM: (DDIMScheduler, {"clip_sample": False}),
    SchedulerName.DPMPP_2M: (
        DPMSolverMultistepScheduler,
        {"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": False},
    ),
    SchedulerName.DPMPP_2M_KARRAS: (
        DPMSolverMultistepScheduler,
        {"algorithm_type": "dpmsolver++", "solver_order": 2, "use_karras_sigmas": True},
    ),
    SchedulerName.LCM: (LCMScheduler, {}),
    SchedulerName.UNIPC: (UniPCMultistepScheduler, {"use_karras_sigmas": False}),
}

_FLOWING: dict[SchedulerName, tuple[Any, dict[str, Any]]] = {
    SchedulerName.EULER: (FlowMatchEulerDiscreteScheduler, {}),
}

_KNOWN = {Family.SD15: _DIFFUSING, Family.SDXL: _DIFFUSING, Family.SD3: _FLOWING, Family.FLUX: _FLOWING}

LCM_STEPS = 50
"""What LCM's schedule is drawn from by default; it refuses to take more steps than that."""


def make(own: Any, family: Family, name: SchedulerName | None, steps: int) -> Any:
    """Return a fresh scheduler with the configuration of the model's *own*, which is never run itself."""
    if name is None:
        return copy.deepcopy(own)
    known: Callable[[SchedulerName], Any] = _KNOWN.get(family, {}).get
    entry = known(name)
    if entry is None:
        raise GenerationError(f"This model cannot be run with the scheduler {name.value}.")
    kind, options = entry
    if name is SchedulerName.LCM and steps > LCM_STEPS:
        options = {**options, "original_inference_steps": steps}
    return kind.from_config(own.config, **options)
