"""Energy use of an accelerator in joules, from NVIDIA's NVML, for a press with exclusive use of the device."""

# ruff: noqa: N802  (the names are NVML's)

import time
from collections.abc import Callable
from typing import Any, Protocol

import pynvml

MILLI = 1e-3
"""NVML reports millijoules and milliwatts."""

PREFIX = "GPU-"
"""Prefix of a device UUID in NVML; torch omits it."""


class Nvml(Protocol):
    """The functions of ``pynvml`` used here; each may raise ``pynvml.NVMLError``."""

    def nvmlInit(self) -> None:
        """Load the library; may be called repeatedly."""

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Any:
        """Return the device with this UUID, regardless of CUDA_VISIBLE_DEVICES."""

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any) -> int:
        """Return the millijoules drawn since the driver was loaded; from Volta on."""

    def nvmlDeviceGetPowerUsage(self, handle: Any) -> int:
        """Return the milliwatts drawn now."""


class EnergyGauge:
    """The joules one device has used since the gauge was opened, for any process; never decreases.

    For one thread at a time. Where the device counts no energy, power is sampled at each reading instead, so read it
    about once a second.
    """

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self._began = read()
        self._joules = 0.0

    @property
    def joules(self) -> float:
        """Return the total, or the last known one while the device does not answer."""
        try:
            self._joules = max(self._joules, self._read() - self._began)
        except pynvml.NVMLError:
            return self._joules
        return self._joules


def open_gauge(
    uuid: str | None, nvml: Nvml = pynvml, clock: Callable[[], float] = time.monotonic
) -> EnergyGauge | None:
    """Return an energy gauge for the device *uuid* (as known to torch or NVML), or None if it cannot be measured.

    A device slice (MIG) has no meter of its own, and neither has a device without a UUID (None).
    """
    if uuid is None:
        return None
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith(PREFIX) else PREFIX + uuid)
    except pynvml.NVMLError:
        return None
    for read in (_create_counter(nvml, handle), _PowerIntegrator(nvml, handle, clock)):
        try:
            return EnergyGauge(read)
        except pynvml.NVMLError:
            continue
    return None


def _create_counter(nvml: Nvml, handle: Any) -> Callable[[], float]:
    return lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) * MILLI


class _PowerIntegrator:
    """Power integrated over time by the trapezoidal rule, in joules."""

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
