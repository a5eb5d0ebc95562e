"""The available LoRA adapters: files in one directory, validated before a model library opens them.

A request carries a name and never a path; what a name leads to is decided here alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from common.errors import ModelUnavailableError, SettingsError
from common.models import safetensors_file
from common.models.catalog import AdapterCard, Family, ModelCard, OfferedModels
from common.models.lora_layers import TITLES, Layer, Weights, find_misfit, guess_family, read_layers, read_weights
from common.models.names import derive_name, keep_printable
from common.settings import PREFIX, Settings

WEIGHTS, SUPPLEMENT = ".safetensors", ".json"

KIND = "adapter"
"""What a name begins with that cannot be made of the file's."""

LARGEST_FILE = 2 * 1024**3
"""Bytes; the LoRAs of the largest models stay below it, and the press has to hold several."""

TRAINING = "lora_adapter_metadata"
"""Where diffusers keeps, in a file's header, how an adapter was trained."""

HARMLESS_BEGINNINGS = (None, True, False, "gaussian")
"""Values of ``init_lora_weights`` that touch nothing but the adapter; others change the model's own weights."""

FAR_REACHING = ("layer_replication", "modules_to_save", "trainable_token_indices", "megatron_config")
"""What else in an adapter's configuration would change the model beyond its layers."""


@dataclass(frozen=True)
class AdapterFile:
    """An installed adapter."""

    card: AdapterCard
    path: Path
    base: str | None  # a family or a model, where its supplement names one
    layers: Sequence[Layer]

    def find_misfit(self, card: ModelCard, weights: Weights) -> str | None:
        """Return why it does not go with the model that has *weights*, in words, or None if it does."""
        if card.family not in TITLES:
            return "models of this kind do not support adapters"
        if self.base is not None and self.base not in (card.family, card.name):
            return f"its base is {self.base}"
        return find_misfit(self.layers, card.family, weights)


@dataclass(frozen=True)
class AdapterDirectory:
    """What the directory of adapters holds: the files by the adapters' names, and the faults by the files' names."""

    files: dict[str, AdapterFile] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def add(self, file: AdapterFile) -> None:
        """Add a file; raise ModelUnavailableError if another has its name."""
        other = self.files.get(file.card.name)
        if other is not None:
            raise ModelUnavailableError(
                f"{file.path} would have the name {file.card.name}, as {other.path.name} has; rename one of them."
            )
        self.files[file.card.name] = file

    def equip(self, card: ModelCard, directory: Path | None) -> ModelCard:
        """Return *card* with the adapters that fit its model; a stand-in, which has no directory, takes all."""
        if not self.files:
            return card
        fitting = list(self.files.values())
        if directory is not None:
            try:
                weights = read_weights(directory)
            except ModelUnavailableError:
                return card  # it is told when the model is loaded
            fitting = [file for file in fitting if file.find_misfit(card, weights) is None]
        return card.model_copy(update={"adapters": [file.card for file in fitting]})

    def equip_all(self, offered: OfferedModels) -> list[ModelCard]:
        """Return the cards of all models on offer with their adapters."""
        return [self.equip(card, directory) for card, directory in offered.values()]

    def find_left_out(self, cards: Sequence[ModelCard]) -> dict[str, str]:
        """Return, in words, why files are faulty or go with none of the equipped *cards*, by the file's name."""
        used = {adapter.name for card in cards for adapter in card.adapters}
        unused = {file.path.name: _describe_unused_file(file) for name, file in self.files.items() if name not in used}
        return self.faults | unused


def read_adapter_directory(settings: Settings) -> AdapterDirectory:
    """Return what is in the directory of adapters; raise SettingsError if the directory does not exist."""
    shelf = AdapterDirectory()
    if settings.adapters is None:
        return shelf
    try:
        # A file whose name is usable as it is keeps that name, whatever else is called almost the same.
        paths = sorted(
            settings.adapters.iterdir(), key=lambda path: (derive_name(path.stem, KIND) != path.stem, path.name)
        )
    except OSError as error:
        sentence = f"{PREFIX}ADAPTERS is {settings.adapters}, which cannot be read as a directory: {error.strerror}."
        raise SettingsError(sentence) from error
    for path in paths:
        suffix = path.suffix.lower()
        if suffix == WEIGHTS:
            try:
                shelf.add(read_adapter(path))
            except ModelUnavailableError as error:
                shelf.faults[path.name] = error.message
        elif suffix in safetensors_file.RISKY:
            shelf.faults[path.name] = f"{path} has a format that can contain code; use .safetensors."
    return shelf


def read_adapter(path: Path) -> AdapterFile:
    """Return the adapter in the file at *path*; raise ModelUnavailableError, a plain sentence, if it cannot be had."""
    if path.suffix != WEIGHTS:
        raise ModelUnavailableError(f"{path} must end in {WEIGHTS}, in lower case; rename it.")
    _check_location(path)
    if path.stat().st_size > LARGEST_FILE:
        raise ModelUnavailableError(f"{path} must not exceed {LARGEST_FILE} bytes.")
    header = safetensors_file.read_header(path)
    try:
        _check_training(header.metadata.get(TRAINING, "{}"))
        layers = read_layers(header.shapes)
    except ModelUnavailableError as error:
        raise ModelUnavailableError(f"{path} cannot be used as an adapter: {error.message}.") from None
    card, base = _read_supplement(path)
    return AdapterFile(card, path, base, layers)


def _check_location(path: Path) -> None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # a link to nothing, or to itself
        raise ModelUnavailableError(f"{path} is a broken link.") from None
    if target.parent != path.parent.resolve() or target.suffix != path.suffix:
        raise ModelUnavailableError(f"{path} is a link that leads out of its directory; copy the file there instead.")
    if not target.is_file():
        raise ModelUnavailableError(f"{path} is not a file.")


def _check_training(text: str) -> None:
    """Refuse an adapter that would change the model beyond the layers that it names."""
    try:
        training = json.loads(text)
    except (ValueError, RecursionError):
        training = None
    if not isinstance(training, dict):
        raise ModelUnavailableError(f"its {TRAINING} is not a JSON object")
    for key, value in training.items():
        option = key.rpartition(".")[2]
        if (option == "init_lora_weights" and value not in HARMLESS_BEGINNINGS) or (option in FAR_REACHING and value):
            raise ModelUnavailableError(f"it was trained with {option}, which changes the model's own weights")


def _read_supplement(file: Path) -> tuple[AdapterCard, str | None]:
    path, name = file.with_name(file.stem + SUPPLEMENT), derive_name(file.stem, KIND)
    title = keep_printable(file.stem) or name
    if not path.exists():
        return AdapterCard(name=name, title=title), None
    _check_location(path)
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ModelUnavailableError(f"{path} cannot be read as JSON.") from None
    base = told.pop("base", None) if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(base, str | None):
        raise ModelUnavailableError(f"{path} must contain a JSON object whose base is a string.")
    try:
        return AdapterCard.model_validate({"title": title, **told, "name": name}), base
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ModelUnavailableError(f"{path}: {where}: {fault['msg']}.") from None


def _describe_unused_file(file: AdapterFile) -> str:
    family: Family | None = guess_family(file.layers)
    made_for = f"; it appears to be made for {TITLES[family]}" if family is not None else ""
    advice = "; use the version of it that was made for one of them"
    return f"The adapter {file.card.name} is not supported by any of the models{made_for or advice}."
