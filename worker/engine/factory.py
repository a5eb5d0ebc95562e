"""Which engine a press gets: the painted stand-in if that is all it offers, else one with models in it."""

import os
from pathlib import Path

from common.errors import ModelUnavailableError
from common.models import catalog
from common.models.adapters import Shelf
from common.models.catalog import ModelCard
from common.settings import Settings
from worker.engine.accelerator import Exit
from worker.engine.engine import BatchingEngine
from worker.engine.interface import Engine
from worker.engine.model_cache import Resident
from worker.engine.painted import PaintedEngine
from worker.metering.energy import open_gauge
from worker.metering.meter import Meter


def open_engine(settings: Settings, meter: Meter, shelf: Shelf | None = None, leave: Exit = os._exit) -> Engine:
    """Return the engine of this press, not loaded yet, with the adapters of *shelf*.

    torch is imported only where a real model is offered.
    """
    offered = catalog.offered(settings)
    if catalog.PAINTED in offered:
        return PaintedEngine(settings, meter)
    return _open_diffusers(settings, offered, meter, shelf or Shelf(), leave)


def _open_diffusers(settings: Settings, offered: catalog.Offer, meter: Meter, shelf: Shelf, leave: Exit) -> Engine:
    # These import torch, which takes seconds.
    from worker.engine.families.factory import open_family  # noqa: PLC0415
    from worker.engine.torch_backend import optimizations  # noqa: PLC0415
    from worker.engine.torch_backend.accelerator import TorchAccelerator  # noqa: PLC0415
    from worker.engine.torch_backend.adapters import Adapters  # noqa: PLC0415
    from worker.torch_device import Device  # noqa: PLC0415

    device = Device(settings.device, settings.precision)
    meter.measure_energy(open_gauge(device.uuid))
    speedups = optimizations.choose(settings.speed, device)

    def load(card: ModelCard, directory: Path | None) -> Resident:
        if directory is None:
            raise ModelUnavailableError(f"The model {card.name} has no directory.")
        family = open_family(card, directory, device, speedups)
        return Resident(family, Adapters(family.pipeline, card, shelf, meter))

    return BatchingEngine(
        settings,
        offered,
        meter,
        accelerator=TorchAccelerator(device, leave),
        load=load,
        budget_bytes=settings.model_memory_gb * 1e9 if settings.model_memory_gb else device.memory_bytes,
        leave=leave,
    )
