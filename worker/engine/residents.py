"""The models in memory: loaded when they are wanted, the least recently used given up when the budget is spent."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.catalog import ModelCard, Offer
from common.errors import ModelUnavailableError, OutOfMemoryError
from common.logs import get_logger
from common.requests import ImageRequest
from worker.engine.accelerator import Accelerator
from worker.engine.caps import Caps
from worker.meter import Meter

Opener = Callable[[ModelCard, Path | None], Any]
"""Loads a model and returns its families.port.Family; raises ModelUnavailableError or OutOfMemoryError."""

log = get_logger(__name__)


class Residents:
    """Holds families by the name of their model; only the engine's thread opens them."""

    def __init__(
        self, offer: Offer, open_family: Opener, accelerator: Accelerator, meter: Meter, caps: Caps, budget_bytes: float
    ) -> None:
        self._offer = offer
        self._open_family = open_family
        self._accelerator = accelerator
        self._meter = meter
        self._caps = caps
        self._budget_bytes = budget_bytes
        self._families: OrderedDict[str, Any] = OrderedDict()  # the least recently used first

    def is_at_hand(self, model: str) -> bool:
        """Tell whether a model is in memory, or can be without another one leaving."""
        return model in self._families or self._bytes_in_use + self._size_of(model) <= self._budget_bytes

    def is_ready(self, request: ImageRequest) -> bool:
        """Tell whether ``open`` has nothing to load."""
        return request.model in self._families

    def open(self, request: ImageRequest) -> Any:
        """Return the family of a request's model; what loading takes is overhead, nobody's price."""
        name = request.model
        if name not in self._families:
            card, directory = self._offer.get(name, (None, None))
            if card is None:
                raise ModelUnavailableError(f"This press does not offer the model {name}.")
            self._make_room(self._size_of(name))
            with self._meter.busy("load"):
                self._families[name] = self._load(card, directory)
            with self._meter.busy("profile"):
                self._caps.profile(self._families[name], card, self._accelerator)
        self._families.move_to_end(name)
        return self._families[name]

    def _load(self, card: ModelCard, directory: Path | None) -> Any:
        try:
            return self._open_family(card, directory)
        except OutOfMemoryError:
            if not self._families:
                raise
            # The sizes on disk are an estimate: with nothing else in memory it may fit after all.
            self._make_room(self._budget_bytes)
            return self._open_family(card, directory)

    @property
    def _bytes_in_use(self) -> int:
        return sum(self._size_of(name) for name in self._families)

    def _make_room(self, wanted_bytes: float) -> None:
        while self._families and self._bytes_in_use + wanted_bytes > self._budget_bytes:
            name, _ = self._families.popitem(last=False)
            self._accelerator.free()
            log.info("model_dropped", model=name)

    def _size_of(self, name: str) -> int:
        _, directory = self._offer.get(name, (None, None))
        return sum(file.stat().st_size for file in directory.rglob("*.safetensors")) if directory else 0
