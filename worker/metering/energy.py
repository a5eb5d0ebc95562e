"""What an accelerator draws: joules by NVIDIA's own meter (NVML), for a press that has such a device to itself."""

# ruff: noqa: N802  (the names are NVML's)

import time
from collections.abc import Callable
from typing import Any, Protocol

import pynvml

MILLI = 1e-3
"""NVML counts in millijoules and milliwatts."""

PREFIX = "GPU-"
"""What NVML puts before a device's UUID and torch does not."""


class Nvml(Protocol):
    """The part of the module ``pynvml`` that is needed here; every function may raise ``pynvml.NVMLError``."""

    def nvmlInit(self) -> None:
        """Load the library; may be called any number of times."""

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Any:
        """Return the device of this UUID, whatever CUDA_VISIBLE_DEVICES makes of its index."""

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any) -> int:
        """Return the millijoules drawn since the driver was loaded; from Volta on."""

    def nvmlDeviceGetPowerUsage(self, handle: Any) -> int:
        """Return the milliwatts drawn now."""


class EnergyGauge:
    """The joules that one device has drawn since the gauge was opened, whoever had it work; never falls.

    For one thread at a time. Where the device counts no energy, power is sampled at each reading instead, so read it
    about once a second.
    """

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self._began = read()
        self._joules = 0.0

    @property
    def joules(self) -> float:
        """Return the total; while the device does not answer, the last one that was known."""
        try:
            self._joules = max(self._joules, self._read() - self._began)
        except pynvml.NVMLError:
            return self._joules
        return self._joules


def open_gauge(
    uuid: str | None, nvml: Nvml = pynvml, clock: Callable[[], float] = time.monotonic
) -> EnergyGauge | None:
    """Return a gauge of the device that torch or NVML knows by *uuid*; None where nothing there can be measured.

    A slice of a device (MIG) has no meter of its own, nor has a device without a UUID (None).
    """
    if uuid is None:
        return None
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith(PREFIX) else PREFIX + uuid)
    except pynvml.NVMLError:
        return None
    for read in (_count(nvml, handle), _Samples(nvml, handle, clock)):
        try:
            return EnergyGauge(read)
        except pynvml.NVMLError:
            continue
    return None


def _count(nvml: Nvml, handle: Any) -> Callable[[], float]:
    return lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) * MILLI


class _Samples:
    """Power integrated over time by trapezoids between readings, in joules."""

    def __init__(self, nvml: Nvml, handle: Any, clock: Callable[[], float]) -> None:
        self._nvml = nvml
        self._handle = handle
        self._clock = clock
        self._last: tuple[float, float] | None = None  # seconds, watts
        self._joules = 0.0

    def __call__(self) -> float:
        moment, watts = self._clock(), self._nvml.nvmlDeviceGetPowerUsage(self._handle) * MILLI
        if self._last is not None:
            before, watts_before = self._last
            self._joules += (moment - before) * (watts + watts_before) / 2
        self._last = moment, watts
        return self._joules
