"""The accelerator: which one, in which numbers, and when it has really done what it was told."""

from typing import Any

import torch


class Device:
    """One accelerator. It is told ahead what to do, so the clock may be read only when it is known to be done."""

    def __init__(self, name: str) -> None:
        self.torch = torch.device(_choose() if name == "auto" else name)
        self._last_step: Any = None
        if self.torch.type == "cpu" and torch.get_num_interop_threads() != 1:
            _limit_interop()

    @property
    def dtype(self) -> torch.dtype:
        """Return the numbers it computes in: 16 bits where it is made for them."""
        if self.torch.type == "cpu":
            return torch.float32
        if self.torch.type == "cuda" and torch.cuda.is_bf16_supported():
            return torch.bfloat16
        return torch.float16

    @property
    def title(self) -> str:
        """Return what it is called."""
        if self.torch.type == "cuda":
            return torch.cuda.get_device_name(self.torch)
        return self.torch.type

    def finish(self) -> None:
        """Wait until all that it was told is done."""
        if self.torch.type == "cuda":
            torch.cuda.synchronize(self.torch)
        elif self.torch.type == "mps":
            torch.mps.synchronize()

    def keep_pace(self) -> None:
        """Wait until the step before this one is done.

        So no more than one step is ever told ahead, which is enough to keep it busy and not too much to stop.
        """
        if self.torch.type != "cuda":
            return
        before, self._last_step = self._last_step, torch.cuda.Event()
        self._last_step.record(torch.cuda.current_stream(self.torch))
        if before is not None:
            before.synchronize()

    def free(self) -> None:
        """Give back the memory that is held but not used."""
        if self.torch.type == "cuda":
            torch.cuda.empty_cache()


def _choose() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _limit_interop() -> None:
    try:
        torch.set_num_interop_threads(1)
    except RuntimeError:  # torch has begun to work in this process, so the number stands; it costs time, nothing else
        return
