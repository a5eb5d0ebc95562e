"""The adapters of one loaded model: each read once, then switched on, scaled and off again without touching the model.

peft lays an adapter beside a layer and adds its output to the layer's own, so the model's weights stay as they are.
"""

import hashlib
import warnings
from collections import OrderedDict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from common.errors import ModelUnavailableError
from common.jobs.request import MOST_ADAPTERS, Adapter
from common.logs import get_logger
from common.models.adapters import AdapterFile, Shelf, read_adapter
from common.models.catalog import ModelCard
from common.models.lora_layers import PARTS, Weights, flatten
from worker.metering.meter import Meter

MOST_LOADED = 2 * MOST_ADAPTERS
"""Adapters kept in memory for one model; the least recently used goes first."""

UNTRANSLATED = (MemoryError, torch.OutOfMemoryError, torch.AcceleratorError)
"""What is not the file's fault."""

log = get_logger(__name__)


class Adapters:
    """What is laid over one pipeline; only the engine's thread calls it."""

    def __init__(self, pipeline: Any, card: ModelCard, shelf: Shelf, meter: Meter) -> None:
        self._pipeline = pipeline
        self._card = card
        self._shelf = shelf
        self._meter = meter
        self._weights = _weights_of(pipeline) if shelf.files else {}
        self._loaded: OrderedDict[str, str] = OrderedDict()  # peft's names by ours, the least recently used first
        self._layers: list[Any] = []
        self._active: frozenset[Adapter] = frozenset()

    def is_ready(self, adapters: Collection[Adapter]) -> bool:
        """Tell whether ``activate`` has nothing to load."""
        return all(adapter.name in self._loaded for adapter in adapters)

    def activate(self, adapters: Collection[Adapter]) -> None:
        """Make exactly *adapters* work on the model from now on; what loading takes is overhead, nobody's price.

        Costs nothing where they do already. Raises ModelUnavailableError or what torch raises, and then none works.
        """
        wanted = frozenset(adapters)
        if wanted == self._active:
            return
        names = sorted(adapter.name for adapter in wanted)
        if not self.is_ready(wanted):
            with self._meter.busy("load"):
                self._load(names)
        for name in names:
            self._loaded.move_to_end(name)
        self._switch(wanted)

    def _switch(self, wanted: frozenset[Adapter]) -> None:
        """Set the scales, in an order that is the same for the same set: the sum of floats depends on it."""
        scales = {self._loaded[adapter.name]: adapter.scale for adapter in sorted(wanted, key=lambda each: each.name)}
        names = list(scales)
        for layer in self._layers:
            # set_adapter() also goes through every parameter's requires_grad: 50 ms for the layers of SDXL, this 1 ms.
            layer._active_adapter = names  # noqa: SLF001
            for inner, scale in scales.items():
                layer.set_scale(inner, scale)  # a layer that lacks the adapter lets it pass
        self._active = wanted

    def _load(self, names: Collection[str]) -> None:
        try:
            for name in names:
                if name not in self._loaded:
                    file = self._admit(name)
                    self._make_room(keep=names)
                    self._loaded[name] = self._read(file)
                    log.info("adapter_loaded", adapter=name, model=self._card.name)
        finally:
            self._layers = _find_layers(self._pipeline)
            for layer in self._layers:
                layer.set_adapter([], inference_mode=True)  # peft turns on what it reads
            self._active = frozenset()

    def _admit(self, name: str) -> AdapterFile:
        """Return the file of an adapter, looked at once more: it may have changed since the press started."""
        if name not in self._shelf.files:
            raise ModelUnavailableError(f"This press does not offer the adapter {name}.")
        file = read_adapter(self._shelf.files[name].path)
        misfit = file.find_misfit(self._card, self._weights)
        if misfit is not None:
            raise ModelUnavailableError(f"The adapter {name} does not go with the model {self._card.name}: {misfit}.")
        return file

    def _make_room(self, keep: Collection[str]) -> None:
        while len(self._loaded) >= MOST_LOADED:
            name = next(name for name in self._loaded if name not in keep)
            _forget(self._pipeline, self._loaded.pop(name))

    def _read(self, file: AdapterFile) -> str:
        """Lay an adapter beside the model's layers and return what peft calls it."""
        # peft's names become names of modules, which allow no dots and no word that is a module's own.
        inner = "press_" + hashlib.sha256(file.card.name.encode()).hexdigest()[:16]
        try:
            _read_into(self._pipeline, file.path, inner)
        except Exception as error:  # loading raises whatever a file's content leads to; for the press it is all one
            _forget(self._pipeline, inner)
            if isinstance(error, UNTRANSLATED):
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            sentence = f"The adapter {file.card.name} cannot be laid over the model {self._card.name}: {reason}"
            raise ModelUnavailableError(sentence) from error
        if not any(inner in layer.scaling for layer in _find_layers(self._pipeline)):
            raise ModelUnavailableError(f"The adapter {file.card.name} changes nothing in the model {self._card.name}.")
        return inner


def _read_into(pipeline: Any, path: Path, inner: str) -> None:
    with warnings.catch_warnings():
        # It is said of every adapter but the first, and means training.
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")
        pipeline.load_lora_weights(
            str(path.parent), weight_name=path.name, adapter_name=inner, use_safetensors=True, local_files_only=True
        )


def _forget(pipeline: Any, inner: str) -> None:
    """Take an adapter out of the pipeline, as far as it got in."""
    for layer in _find_layers(pipeline):
        layer.set_adapter([name for name in layer.active_adapters if name != inner], inference_mode=True)
    pipeline.delete_adapters([inner])


def _find_layers(pipeline: Any) -> list[Any]:
    """Return every layer that has been made ready for adapters."""
    return [module for _, _, module in _walk(pipeline) if isinstance(module, BaseTunerLayer)]


def _weights_of(pipeline: Any) -> Weights:
    """Return the shapes of the pipeline's own layers, as ``common.models.lora_layers`` reads them from files."""
    weights: dict[str, dict[str, tuple[int, ...]]] = {}
    for part, name, module in _walk(pipeline):
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor):
            weights.setdefault(part, {})[flatten(name)] = tuple(weight.shape)
    return weights


def _walk(pipeline: Any) -> Iterator[tuple[str, str, Any]]:
    for part in PARTS:
        model = getattr(pipeline, part, None)
        if isinstance(model, torch.nn.Module):
            for name, module in model.named_modules():
                yield part, name, module
