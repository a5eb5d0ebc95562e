"""Torch accelerator: asynchronous on CUDA with GPU timing, synchronous on other devices."""

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Self

import torch
from PIL import Image

from common.errors import GenerationError, InvalidPictureError
from worker.engine.accelerator import Exit, Exposure, Mark
from worker.engine.torch_backend.errors import translate_errors
from worker.torch_device import Device

RGB = 3
PICTURES = 4
"""Dimensions of decoded pictures: rows, colours, height, width."""


class CudaMark:
    """A CUDA event in the stream, timed by the GPU itself."""

    def __init__(self, device: Device) -> None:
        self._event = torch.cuda.Event(enable_timing=True)
        self._event.record(torch.cuda.current_stream(device.torch))

    def wait(self) -> None:
        """Block until the GPU reaches this point."""
        self._event.synchronize()

    def seconds_since(self, earlier: Self) -> float:
        """Return the GPU time between two marks."""
        return float(earlier._event.elapsed_time(self._event)) / 1000


@dataclass(frozen=True)
class FinishedMark:
    """A point in time at which the device had finished all submitted work."""

    at: float

    def wait(self) -> None:
        """Return at once: the point has passed."""

    def seconds_since(self, earlier: Self) -> float:
        """Return the time between two marks."""
        return self.at - earlier.at


class TorchAccelerator:
    """``worker.engine.accelerator.Accelerator`` for one torch device."""

    def __init__(self, device: Device, leave: Exit = os._exit) -> None:
        self._device = device
        self._leave = leave

    @property
    def title(self) -> str:
        """Return the device name."""
        return self._device.title

    @property
    def ahead(self) -> int:
        """Return how many passes may be submitted ahead."""
        return 1 if self._device.torch.type == "cuda" else 0

    @property
    def is_crowded(self) -> bool:
        """Return whether other processes hold a notable part of its memory now."""
        return self._device.is_crowded

    def mark(self) -> Mark:
        """Mark the current point in the submitted work."""
        if self._device.torch.type == "cuda":
            return CudaMark(self._device)
        self._device.finish()
        return FinishedMark(time.perf_counter())

    def working(self) -> AbstractContextManager[object]:
        """Return a context in which torch records no gradients."""
        return torch.no_grad()

    def translating(self) -> AbstractContextManager[object]:
        """Return a context that translates torch's errors and ends the process if CUDA is permanently broken."""
        return translate_errors(self._device, self._leave)

    def expose(self, decoded: torch.Tensor) -> list[Exposure]:
        """Start copying images [rows, 3, height, width], from 0 to 1, to the host."""
        if decoded.dim() != PICTURES or decoded.shape[1] != RGB:
            raise GenerationError("The model's output is not an RGB image.")
        sound = torch.isfinite(decoded).flatten(1).all(dim=1)
        pixels = (decoded.float() * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        arrived = self._fetch(pixels, sound)
        return [_expose_row(arrived, row) for row in range(len(decoded))]

    def free(self) -> None:
        """Release cached memory that is not in use."""
        self._device.free()

    def _fetch(self, pixels: torch.Tensor, sound: torch.Tensor) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
        """Start the copies and return a function that waits for them."""
        if self._device.torch.type != "cuda":
            here = pixels.cpu(), sound.cpu()
            return lambda: here
        here = _pin_tensor(pixels), _pin_tensor(sound)
        copied = CudaMark(self._device)

        def wait() -> tuple[torch.Tensor, torch.Tensor]:
            copied.wait()
            return here

        return wait


def _pin_tensor(tensor: torch.Tensor) -> torch.Tensor:
    # A copy is asynchronous only into pinned memory.
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)


def _expose_row(arrived: Callable[[], tuple[torch.Tensor, torch.Tensor]], row: int) -> Exposure:
    def expose() -> Image.Image:
        pixels, sound = arrived()
        if not bool(sound[row]):
            raise InvalidPictureError("The model's output contains invalid values (NaN or infinity).")
        picture = Image.fromarray(pixels[row].numpy())
        if all(len(set(channel.getextrema())) == 1 for channel in picture.split()):
            raise InvalidPictureError("The model produced an image of a single colour.")
        return picture

    return expose
