"""Where a press's accelerator seconds went: every one is booked to an attempt or to a named overhead, once."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from common.jobs.attempts import Spent
from worker.metering.energy import EnergyGauge

Clock = Callable[[], float]


class Account:
    """What one request has spent, by phase; what is booked here is in the meter's busy time the same moment.

    Only the engine's thread writes it; any thread may read.
    """

    def __init__(self, meter: "Meter", overhead: str | None) -> None:
        self._meter = meter
        self._overhead = overhead
        self._spent = Spent()

    def book(self, phase: str, gpu_seconds: float, cpu_seconds: float = 0.0) -> None:
        """Add accelerator seconds under *phase*, and the CPU seconds that it took to tell the accelerator."""
        before = self._spent
        self._spent = Spent(
            before.gpu_seconds + gpu_seconds,
            before.cpu_seconds + cpu_seconds,
            before.phases | {phase: before.phases.get(phase, 0.0) + gpu_seconds},
        )
        self._meter.book(gpu_seconds, self._overhead)

    @property
    def spent(self) -> Spent:
        """Return what has been booked so far."""
        return self._spent


class Meter:
    """The press's own clock of its accelerator: sum of attempts + sum of overheads = busy seconds, at any moment."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._busy_seconds = 0.0
        self._overhead: dict[str, float] = {}
        self._gauge: EnergyGauge | None = None
        self._reading = threading.Lock()  # a gauge is for one thread at a time, and slow beside the booking of a pass

    def measure_energy(self, gauge: EnergyGauge | None) -> None:
        """Read the accelerator's energy from *gauge* from now on."""
        self._gauge = gauge

    def account(self, overhead: str | None = None) -> Account:
        """Open the account of an attempt, or of a run that is itself overhead under that name."""
        return Account(self, overhead)

    @contextmanager
    def busy(self, name: str) -> Iterator[None]:
        """Book the time of a block of work as overhead *name*, however it ends."""
        began = self.clock()
        try:
            yield
        finally:
            self.book(self.clock() - began, name)

    def book(self, seconds: float, overhead: str | None = None) -> None:
        """Add accelerator seconds to the busy time and, where they are no attempt's, to overhead *overhead*."""
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
