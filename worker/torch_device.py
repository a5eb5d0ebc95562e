"""The device that torch computes on: which one, and in which numbers."""

import os

import torch

CUDA_SHARE, HOST_SHARE = 0.7, 0.5

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class Device:
    """One device of torch."""

    def __init__(self, name: str, precision: str = "auto") -> None:
        self.torch = torch.device(_choose() if name == "auto" else name)
        self._precision = precision
        if self.torch.type == "cpu" and torch.get_num_interop_threads() != 1:
            _limit_interop()

    @property
    def dtype(self) -> torch.dtype:
        """Return the numbers it computes in; unless they are set, 16 bits where it is made for them."""
        if self._precision != "auto":
            return PRECISIONS[self._precision]
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

    @property
    def uuid(self) -> str | None:
        """Return NVIDIA's id of it; None for any other device."""
        return str(torch.cuda.get_device_properties(self.torch).uuid) if self.torch.type == "cuda" else None

    @property
    def memory_bytes(self) -> float:
        """Return how much memory models may take by default: a part of it all, for activations need the rest."""
        if self.torch.type == "cuda":
            return CUDA_SHARE * torch.cuda.get_device_properties(self.torch).total_memory
        return HOST_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def finish(self) -> None:
        """Wait until all that it was told is done."""
        if self.torch.type == "cuda":
            torch.cuda.synchronize(self.torch)
        elif self.torch.type == "mps":
            torch.mps.synchronize()

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
