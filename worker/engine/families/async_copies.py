"""Asynchronous copies to the accelerator during scheduler steps.

The stock schedulers copy noise (Euler ancestral, LCM), single numbers (UniPC) and, when they add noise to a kept image,
their tables (all) with ``to``, which blocks this thread until the accelerator has finished all earlier work. In the
middle of a step with many rows, the accelerator would be idle while the other rows' schedulers run. The copies are the
same; only the waiting is avoided.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from diffusers import EulerAncestralDiscreteScheduler, LCMScheduler, UniPCMultistepScheduler
from torch.overrides import TorchFunctionMode

SYNCHRONOUS_SCHEDULERS = (EulerAncestralDiscreteScheduler, LCMScheduler, UniPCMultistepScheduler)
"""Schedulers that need this; intercepting every call of the others would double their cost."""


class AsyncCopyMode(TorchFunctionMode):
    """Make copies to the accelerator asynchronous inside the block; copies back still wait, as they must."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func is torch.Tensor.to and args[0].is_cpu:
            return func(*args, **{**options, "non_blocking": True})  # safe in this direction, pinned or not
        if func is torch.randn:  # without pinned memory, a large noise tensor would still block
            return func(*args, **{**options, "pin_memory": torch.cuda.is_available()})
        if func is torch.linalg.solve:  # it waits to check that a solution exists, which is always the case in UniPC
            return torch.linalg.solve_ex(*args, **options).result
        return func(*args, **options)


def allow_async_copies(device: torch.device, drawing: Any) -> AbstractContextManager[Any]:
    """Return the context in which *drawing*, a ``denoising.Denoising``, advances on *device*."""
    waits = isinstance(drawing.scheduler, SYNCHRONOUS_SCHEDULERS) or drawing.after_step is not None
    return AsyncCopyMode() if waits and device.type == "cuda" else nullcontext()
