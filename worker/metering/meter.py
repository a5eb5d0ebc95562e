"""Account for accelerator seconds: each is booked exactly once, to an attempt or to a named overhead."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from common.jobs.attempts import Spent
from worker.metering.energy import EnergyGauge

Clock = Callable[[], float]


class Account:
    """The cost of one request by phase; each booking updates the meter's busy time at the same moment.

    Only the engine's thread writes it; any thread may read.
    """

    def __init__(self, meter: "Meter", overhead: str | None) -> None:
        self._meter = meter
        self._overhead = overhead
        self._spent = Spent()

    def book(self, phase: str, gpu_seconds: float, cpu_seconds: float = 0.0) -> None:
        """Add accelerator seconds under *phase*, and the CPU seconds used to submit the work."""
        before = self._spent
        self._spent = Spent(
            before.gpu_seconds + gpu_seconds,
            before.cpu_seconds + cpu_seconds,
            before.phases | {phase: before.phases.get(phase, 0.0) + gpu_seconds},
        )
        self._meter.book(gpu_seconds, self._overhead)

    @property
    def spent(self) -> Spent:
        """Return the totals booked so far."""
        return self._spent


class Meter:
    """The press's accelerator meter: attempts + overheads = busy seconds, at any moment."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._busy_seconds = 0.0
        self._overhead: dict[str, float] = {}
        self._gauge: EnergyGauge | None = None
        self._reading = threading.Lock()  # a gauge serves one thread at a time, and is slower than booking a pass

    def measure_energy(self, gauge: EnergyGauge | None) -> None:
        """Read the accelerator's energy from *gauge* from now on."""
        self._gauge = gauge

    def account(self, overhead: str | None = None) -> Account:
        """Open an account for an attempt, or for a run that counts as overhead under the given name."""
        return Account(self, overhead)

    @contextmanager
    def busy(self, name: str) -> Iterator[None]:
        """Book the duration of the block as overhead *name*, even if it raises."""
        began = self.clock()
        try:
            yield
        finally:
            self.book(self.clock() - began, name)

    def book(self, seconds: float, overhead: str | None = None) -> None:
        """Add accelerator seconds to the busy time and, if they belong to no attempt, to *overhead*."""
        with self._lock:
            self._busy_seconds += seconds
            if overhead is not None:
                self._overhead[overhead] = self._overhead.get(overhead, 0.0) + seconds

    def snapshot(self) -> dict[str, Any]:
        """Return the press's columns: busy seconds, overhead by name, CPU seconds of this process, energy if known."""
        with self._reading:
            joules = self._gauge.joules if self._gauge else None
        with self._lock:
            busy, overhead = self._busy_seconds, dict(self._overhead)
        return {
            "busy_seconds": busy,
            "cpu_seconds": time.process_time(),
            "overhead": overhead,
            "energy_joules": joules,
        }
