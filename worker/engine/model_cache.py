"""Cache of loaded models: load on demand, evict the least recently used when the memory budget is exceeded."""

import gc
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from common.errors import GenerationError, ModelUnavailableError, OutOfMemoryError
from common.jobs.request import Adapter, ImageRequest
from common.logs import get_logger
from common.models import files
from common.models.catalog import ModelCard, OfferedModels
from common.models.text_encoders import TextEncoder
from worker.engine.accelerator import Accelerator
from worker.engine.batch_limits import BatchLimits
from worker.engine.watchdog import Watchdog
from worker.metering.meter import Meter


class AdapterLoader(Protocol):
    """The adapters available for one model."""

    def is_ready(self, adapters: Collection[Adapter]) -> bool:
        """Return whether ``activate`` can run without loading anything."""

    def activate(self, adapters: Collection[Adapter]) -> None:
        """Activate exactly *adapters* on the model; raise ModelUnavailableError if one is unavailable."""


@dataclass(frozen=True)
class LoadedModel:
    """A loaded model and its adapters."""

    family: Any  # a families.interface.Family
    adapters: AdapterLoader | None = None
    card: ModelCard | None = None  # where the loaded pipeline told more than its directory


Opener = Callable[[ModelCard, Path | None], LoadedModel]
"""Loads a model; raises ModelUnavailableError or OutOfMemoryError."""

log = get_logger(__name__)


class ModelCache:
    """Loaded models by name; only the engine's thread opens them."""

    def __init__(
        self,
        offered: OfferedModels,
        load: Opener,
        accelerator: Accelerator,
        meter: Meter,
        caps: BatchLimits,
        budget_bytes: float,
        bytes_per_value: int = 4,
    ) -> None:
        self._offered = offered
        self._load = load
        self._accelerator = accelerator
        self._meter = meter
        self._limits = caps
        self._budget_bytes = budget_bytes
        self.text_encoders: dict[str, list[TextEncoder]] = {}  # of every model that has been loaded
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()  # least recently used first
        self._sizes = {
            name: files.measure_weights(directory, bytes_per_value) if directory else 0
            for name, (_, directory) in offered.items()
        }

    def fits_in_memory(self, model: str) -> bool:
        """Return whether a model is loaded, or can be loaded without evicting another."""
        return model in self._models or self._bytes_in_use + self._size_of(model) <= self._budget_bytes

    def is_ready(self, request: ImageRequest) -> bool:
        """Return whether ``open`` can run without loading anything."""
        resident = self._models.get(request.model)
        if resident is None:
            return False
        return resident.adapters is None or resident.adapters.is_ready(request.adapters)

    def load(self, name: str, watchdog: Watchdog) -> ModelCard:
        """Load and profile a model unless it is loaded, and return its card; raise GenerationError."""
        loaded = self._models.get(name) or self._admit(name, watchdog)
        return loaded.card or self._offered[name][0]

    def evict(self, name: str) -> None:
        """Remove a model from memory if it is loaded."""
        if name in self._models:
            self._drop(name)

    def evict_others(self, name: str) -> bool:
        """Remove every model but one from memory; return whether there was any."""
        others = [other for other in self._models if other != name]
        for other in others:
            self._drop(other)
        return bool(others)

    def open(self, request: ImageRequest, watchdog: Watchdog) -> Any:
        """Return the family of a request's model with exactly its adapters; loading is booked as overhead.

        A load, and each part of a profile, restarts the watchdog's timer.
        """
        resident = self._models.get(request.model) or self._admit(request.model, watchdog)
        self._models.move_to_end(request.model)
        if resident.adapters is not None:
            resident.adapters.activate(request.adapters)
        elif request.adapters:
            raise GenerationError("This model does not support adapters.")
        return resident.family

    def _admit(self, name: str, watchdog: Watchdog) -> LoadedModel:
        card, directory = self._offered.get(name, (None, None))
        if card is None:
            raise ModelUnavailableError(f"This press does not offer the model {name}.")
        self._make_room(self._size_of(name))
        with self._meter.busy("load"):
            self._models[name] = self._load_or_evict(card, directory)
        loaded = self._models[name]
        with self._meter.busy("profile"):
            while not self._limits.profile(loaded.family, loaded.card or card, self._accelerator, watchdog):
                if not self.evict_others(name):
                    break
        if name not in self.text_encoders:
            self.text_encoders[name] = loaded.family.list_encoders()
        return loaded

    def _load_or_evict(self, card: ModelCard, directory: Path | None) -> LoadedModel:
        with suppress(OutOfMemoryError) if self._models else nullcontext():
            return self._load(card, directory)
        # The size of the weights is an estimate: the model may still fit if nothing else is loaded.
        while self._models:
            self._drop_oldest()
        return self._load(card, directory)

    @property
    def _bytes_in_use(self) -> int:
        return sum(self._size_of(name) for name in self._models)

    def _make_room(self, wanted_bytes: float) -> None:
        while self._models and self._bytes_in_use + wanted_bytes > self._budget_bytes:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._drop(next(iter(self._models)))

    def _drop(self, name: str) -> None:
        del self._models[name]
        gc.collect()  # a model's parts refer to each other, so it would otherwise stay in memory for a while
        self._accelerator.free()
        log.info("model_evicted", model=name)

    def _size_of(self, name: str) -> int:
        return self._sizes.get(name, 0)
