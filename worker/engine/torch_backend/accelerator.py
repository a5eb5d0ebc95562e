"""The accelerator as torch drives it. CUDA is told ahead and keeps its own time; other devices are waited for."""

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
from worker.engine.torch_backend.errors import translating
from worker.torch_device import Device

RGB = 3
PICTURES = 4
"""Dimensions of decoded pictures: rows, colours, height, width."""


class CudaMark:
    """An event in the stream: the GPU itself notes when it gets there."""

    def __init__(self, device: Device) -> None:
        self._event = torch.cuda.Event(enable_timing=True)
        self._event.record(torch.cuda.current_stream(device.torch))

    def wait(self) -> None:
        """Block until the GPU has got there."""
        self._event.synchronize()

    def seconds_since(self, earlier: Self) -> float:
        """Return the GPU's time between the two."""
        return float(earlier._event.elapsed_time(self._event)) / 1000


@dataclass(frozen=True)
class FinishedMark:
    """A moment at which the device had done all that it was told."""

    at: float

    def wait(self) -> None:
        """Return: it has passed."""

    def seconds_since(self, earlier: Self) -> float:
        """Return the time between the two."""
        return self.at - earlier.at


class TorchAccelerator:
    """Implements ``worker.engine.accelerator.Accelerator`` on one device of torch."""

    def __init__(self, device: Device, leave: Exit = os._exit) -> None:
        self._device = device
        self._leave = leave

    @property
    def title(self) -> str:
        """Return what it is called."""
        return self._device.title

    @property
    def ahead(self) -> int:
        """Return how many passes it is told ahead."""
        return 1 if self._device.torch.type == "cuda" else 0

    def mark(self) -> Mark:
        """Mark the point that its work has been told up to."""
        if self._device.torch.type == "cuda":
            return CudaMark(self._device)
        self._device.finish()
        return FinishedMark(time.perf_counter())

    def working(self) -> AbstractContextManager[object]:
        """Return the context in which torch keeps no gradients."""
        return torch.no_grad()

    def translating(self) -> AbstractContextManager[object]:
        """Return a context that turns torch's errors into ours and leaves the process where CUDA is broken for good."""
        return translating(self._device, self._leave)

    def expose(self, decoded: torch.Tensor) -> list[Exposure]:
        """Begin to bring pictures [rows, 3, height, width], from 0 to 1, to the host."""
        if decoded.dim() != PICTURES or decoded.shape[1] != RGB:
            raise GenerationError("The model's output is no RGB picture.")
        sound = torch.isfinite(decoded).flatten(1).all(dim=1)
        pixels = (decoded.float() * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        arrived = self._fetch(pixels, sound)
        return [_expose_row(arrived, row) for row in range(len(decoded))]

    def free(self) -> None:
        """Give back the memory that is held but not used."""
        self._device.free()

    def _fetch(self, pixels: torch.Tensor, sound: torch.Tensor) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
        """Start the copies; the function that is returned waits for them."""
        if self._device.torch.type != "cuda":
            here = pixels.cpu(), sound.cpu()
            return lambda: here
        here = _pin(pixels), _pin(sound)
        copied = CudaMark(self._device)

        def wait() -> tuple[torch.Tensor, torch.Tensor]:
            copied.wait()
            return here

        return wait


def _pin(tensor: torch.Tensor) -> torch.Tensor:
    # Only into pinned memory is a copy asynchronous.
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)


def _expose_row(arrived: Callable[[], tuple[torch.Tensor, torch.Tensor]], row: int) -> Exposure:
    def expose() -> Image.Image:
        pixels, sound = arrived()
        if not bool(sound[row]):
            raise InvalidPictureError("The model's numbers ran out of bounds, so there is no picture.")
        picture = Image.fromarray(pixels[row].numpy())
        if all(len(set(channel.getextrema())) == 1 for channel in picture.split()):
            raise InvalidPictureError("The model produced a picture of one colour.")
        return picture

    return expose
