"""Telling the accelerator ahead: what a scheduler hands it in a step is not waited for.

The stock schedulers copy noise (Euler ancestral, LCM), single numbers (UniPC) and, where they noise a kept picture,
their tables (all) with ``to``, which stops this thread until the accelerator has done all that it was told before. In
the middle of a step of many rows that would leave it idle for as long as the other rows' schedulers take. The copies
are the same; only the waiting is left out.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from diffusers import EulerAncestralDiscreteScheduler, LCMScheduler, UniPCMultistepScheduler
from torch.overrides import TorchFunctionMode

WAITING = (EulerAncestralDiscreteScheduler, LCMScheduler, UniPCMultistepScheduler)
"""The others need no help, and hearing every call costs as much again as the calls."""


class Ahead(TorchFunctionMode):
    """Lets no call inside wait for the accelerator; what comes back from it is still waited for, as it must be."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func is torch.Tensor.to and args[0].is_cpu:
            return func(*args, **{**options, "non_blocking": True})  # safe in this direction, pinned or not
        if func is torch.randn:  # not pinned, so much noise would be waited for all the same
            return func(*args, **{**options, "pin_memory": torch.cuda.is_available()})
        if func is torch.linalg.solve:  # it waits to see whether there is a solution, and UniPC's always have one
            return torch.linalg.solve_ex(*args, **options).result
        return func(*args, **options)


def told_ahead(device: torch.device, drawing: Any) -> AbstractContextManager[Any]:
    """Return the context in which *drawing*, a ``denoising.Denoising``, advances on *device*."""
    waits = isinstance(drawing.scheduler, WAITING) or drawing.after_step is not None
    return Ahead() if waits and device.type == "cuda" else nullcontext()
