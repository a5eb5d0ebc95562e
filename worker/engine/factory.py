"""Build the engine of a press: the painted stand-in if it is the only model, otherwise a torch engine."""

import os
from pathlib import Path

from common.errors import ModelUnavailableError
from common.models import catalog
from common.models.adapters import AdapterDirectory
from common.models.catalog import ModelCard
from common.settings import Settings
from worker.engine.accelerator import Exit
from worker.engine.engine import BatchingEngine
from worker.engine.interface import Engine
from worker.engine.model_cache import LoadedModel
from worker.engine.painted import PaintedEngine
from worker.metering.energy import open_gauge
from worker.metering.meter import Meter


def open_engine(
    settings: Settings, meter: Meter, shelf: AdapterDirectory | None = None, leave: Exit = os._exit
) -> Engine:
    """Return the engine of this press, not yet loaded, with the adapters of *shelf*.

    torch is imported only if a real model is offered.
    """
    shelf = shelf or AdapterDirectory()
    models = catalog.load_offered_models(settings)
    offered = {name: (shelf.equip(card, directory), directory) for name, (card, directory) in models.items()}
    if catalog.PAINTED in offered:
        return PaintedEngine(settings, meter)
    return _open_diffusers(settings, offered, meter, shelf, leave)


def _open_diffusers(
    settings: Settings, offered: catalog.OfferedModels, meter: Meter, shelf: AdapterDirectory, leave: Exit
) -> Engine:
    # These import torch, which takes seconds.
    from worker.engine.families.factory import open_family  # noqa: PLC0415
    from worker.engine.torch_backend import optimizations  # noqa: PLC0415
    from worker.engine.torch_backend.accelerator import TorchAccelerator  # noqa: PLC0415
    from worker.engine.torch_backend.adapters import PipelineAdapters  # noqa: PLC0415
    from worker.torch_device import Device  # noqa: PLC0415

    device = Device(settings.device, settings.precision)
    meter.measure_energy(open_gauge(device.uuid))
    speedups = optimizations.choose_speedups(settings.speed, device)

    def load(card: ModelCard, directory: Path | None) -> LoadedModel:
        if directory is None:
            raise ModelUnavailableError(f"The model {card.name} has no directory.")
        family = open_family(card, directory, device, speedups)
        return LoadedModel(family, PipelineAdapters(family.pipeline, card, shelf, meter), family.card)

    return BatchingEngine(
        settings,
        offered,
        meter,
        accelerator=TorchAccelerator(device, leave),
        load=load,
        budget_bytes=settings.model_memory_gb * 1e9 if settings.model_memory_gb else device.memory_bytes,
        bytes_per_value=device.dtype.itemsize,
        leave=leave,
    )
