"""Checker for any transformers image classifier: the sum of the probabilities of the selected labels."""

import torch
from PIL import Image

from common.errors import SafetyUnavailableError
from worker.checkers.model_directories import CheckerDirectory, check_weights_complete


class ClassifierNetwork:
    """Sum a classifier's probabilities for the selected labels."""

    def __init__(self, place: CheckerDirectory) -> None:
        self._place = place
        self.name = f"classifier:{place.directory.name}"
        self.digest = place.digest or ""
        self._counted: list[int] = []

    def load(self, device: torch.device) -> None:
        """Load the directory; raise SafetyUnavailableError unless it is complete, trusted and has the labels."""
        from transformers import AutoImageProcessor, AutoModelForImageClassification  # noqa: PLC0415  (takes seconds)

        self.digest = self._place.verify()
        options = {"local_files_only": True, "trust_remote_code": False}
        self._processor = AutoImageProcessor.from_pretrained(self._place.directory, **options)
        model, report = AutoModelForImageClassification.from_pretrained(
            self._place.directory, use_safetensors=True, output_loading_info=True, **options
        )
        check_weights_complete(self.name, report)
        self._counted = _find_labels(self._place.labels, model.config.id2label)
        self._model = model.to(device).eval()

    def prepare(self, picture: Image.Image) -> torch.Tensor:
        """Return the image as prepared by the classifier's own processor."""
        pixels: torch.Tensor = self._processor(picture, return_tensors="pt")["pixel_values"]
        return pixels

    def measure(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the combined log-odds of the selected labels."""
        logits = self._model(pixel_values=pixels).logits[0]
        others = [index for index in range(len(logits)) if index not in self._counted]
        return torch.logsumexp(logits[self._counted], 0) - torch.logsumexp(logits[others], 0)

    def score(self, measured: float) -> float:
        """Return the combined probability of the selected labels."""
        return float(torch.sigmoid(torch.tensor(measured)))


def _find_labels(labels: object, known: dict[int, str]) -> list[int]:
    wanted = set(labels) if isinstance(labels, tuple) else set()
    found = [int(index) for index, label in known.items() if label in wanted]
    if not wanted or len(found) != len(wanted) or len(found) == len(known):
        names = ", ".join(known.values())
        raise SafetyUnavailableError(f"Set label= to some, but not all, of the classifier's labels: {names}.")
    return found
