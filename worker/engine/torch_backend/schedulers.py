"""Schedulers that a request can name, each built from the model's own configuration."""

import copy
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

from common.errors import GenerationError
from common.jobs.request import SchedulerName
from common.models.catalog import Family

# A configuration may set one of these; no scheduler supports two.
_PLAIN = {"use_karras_sigmas": False, "use_exponential_sigmas": False, "use_beta_sigmas": False}

_DPMPP_2M = {**_PLAIN, "use_lu_lambdas": False, "algorithm_type": "dpmsolver++", "solver_order": 2}

_DIFFUSING: dict[SchedulerName, tuple[Any, dict[str, Any]]] = {
    SchedulerName.EULER: (EulerDiscreteScheduler, _PLAIN),
    SchedulerName.EULER_ANCESTRAL: (EulerAncestralDiscreteScheduler, {}),
    # Latents are unbounded; DDIM's default would clip them at 1.
    SchedulerName.DDIM: (DDIMScheduler, {"clip_sample": False}),
    SchedulerName.DPMPP_2M: (DPMSolverMultistepScheduler, _DPMPP_2M),
    SchedulerName.DPMPP_2M_KARRAS: (DPMSolverMultistepScheduler, {**_DPMPP_2M, "use_karras_sigmas": True}),
    SchedulerName.LCM: (LCMScheduler, {"clip_sample": False}),
    # The variant bh1 divides by zero at the last step.
    SchedulerName.UNIPC: (UniPCMultistepScheduler, {**_PLAIN, "solver_type": "bh2"}),
}

_FLOWING: dict[SchedulerName, tuple[Any, dict[str, Any]]] = {
    SchedulerName.EULER: (FlowMatchEulerDiscreteScheduler, {}),
}

_KNOWN = {Family.SD15: _DIFFUSING, Family.SDXL: _DIFFUSING, Family.SD3: _FLOWING, Family.FLUX: _FLOWING}


def create_scheduler(own: Any, family: Family, name: SchedulerName | None, steps: int) -> Any:
    """Return a new scheduler with the configuration of *own*, the model's scheduler, which is never run itself."""
    made = copy.deepcopy(own) if name is None else _create_known_scheduler(own, family, name)
    if isinstance(made, LCMScheduler) and steps > made.config.original_inference_steps:
        made.register_to_config(original_inference_steps=steps)  # the range its steps are chosen from
    return made


def _create_known_scheduler(own: Any, family: Family, name: SchedulerName) -> Any:
    entry = _KNOWN.get(family, {}).get(name)
    if entry is None:
        raise GenerationError(f"This model cannot be run with the scheduler {name.value}.")
    kind, options = entry
    return kind.from_config(own.config, **options)
