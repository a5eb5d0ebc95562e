"""Telling the accelerator ahead: what schedulers and pipelines hand it from the CPU is not waited for.

The stock code copies noise (Euler ancestral, LCM) and single numbers (UniPC) with ``to``, which stops this thread until
the accelerator has done all that it was told before. In the middle of a step of many rows that would leave it idle for
as long as the other rows' schedulers take. The copies are the same; only the waiting is left out.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Ahead(TorchFunctionMode):
    """Lets no call inside wait for the accelerator; what leaves it is still waited for, as it must be."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if func is torch.Tensor.to:
            if args[0].is_cpu and not any(isinstance(argument, bool) for argument in args):
                options["non_blocking"] = True  # safe in this direction: what is not pinned is put aside first
        elif func is torch.randn:
            options["pin_memory"] = torch.cuda.is_available()  # so that copies of noise are not put aside either
        elif (
            func is torch.linalg.solve
        ):  # UniPC's coefficients, never singular; ``solve`` waits to see whether they are
            return torch.linalg.solve_ex(*args, **options).result
        return func(*args, **options)


def told_ahead(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which *device* is told ahead, where it can be."""
    return Ahead() if device.type == "cuda" else nullcontext()
