"""The torch device and the numeric precision that models use."""

import os

import torch

CUDA_SHARE, HOST_SHARE = 0.7, 0.5

CROWDED_SHARE = 0.05
"""Part of a GPU's memory that says that another process uses it; drivers and contexts take less."""

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class Device:
    """One torch device."""

    def __init__(self, name: str, precision: str = "auto") -> None:
        self.torch = torch.device(_choose_device() if name == "auto" else name)
        self._precision = precision
        if self.torch.type == "cpu" and torch.get_num_interop_threads() != 1:
            _limit_interop()

    @property
    def dtype(self) -> torch.dtype:
        """Return the numeric type to compute in: the configured one, or 16 bits where the device supports it well."""
        if self._precision != "auto":
            return PRECISIONS[self._precision]
        if self.torch.type == "cpu":
            return torch.float32
        if self.torch.type == "cuda" and torch.cuda.is_bf16_supported():
            return torch.bfloat16
        return torch.float16

    @property
    def title(self) -> str:
        """Return the device name."""
        if self.torch.type == "cuda":
            return torch.cuda.get_device_name(self.torch)
        return self.torch.type

    @property
    def uuid(self) -> str | None:
        """Return the NVIDIA UUID, or None for any other device."""
        return str(torch.cuda.get_device_properties(self.torch).uuid) if self.torch.type == "cuda" else None

    @property
    def memory_bytes(self) -> float:
        """Return the default memory budget for models: part of the total, since activations need the rest."""
        if self.torch.type == "cuda":
            return CUDA_SHARE * torch.cuda.get_device_properties(self.torch).total_memory
        return HOST_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    @property
    def is_crowded(self) -> bool:
        """Return whether other processes hold a notable part of a GPU's memory now."""
        if self.torch.type != "cuda":
            return False
        free, total = torch.cuda.mem_get_info(self.torch)
        return total - free - torch.cuda.memory_reserved(self.torch) > CROWDED_SHARE * total

    def finish(self) -> None:
        """Wait until all submitted work is done."""
        if self.torch.type == "cuda":
            torch.cuda.synchronize(self.torch)
        elif self.torch.type == "mps":
            torch.mps.synchronize()

    def free(self) -> None:
        """Release cached memory that is not in use."""
        if self.torch.type == "cuda":
            torch.cuda.empty_cache()


def _choose_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _limit_interop() -> None:
    try:
        torch.set_num_interop_threads(1)
    except (
        RuntimeError
    ):  # torch has already started work in this process, so the number is fixed; only speed is at stake
        return
