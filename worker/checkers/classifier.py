"""Any image classifier of transformers, from a directory: the probabilities of the labels that count, added up."""

import torch
from PIL import Image

from common.errors import SafetyUnavailableError
from worker.checkers.model_directories import Place, require_whole


class ClassifierNetwork:
    """Adds up what a classifier gives to some of its labels."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.name = f"classifier:{place.directory.name}"
        self.digest = place.digest or ""
        self._counted: list[int] = []

    def load(self, device: torch.device) -> None:
        """Open the directory; raise SafetyUnavailableError unless it is whole, known, and has the labels."""
        from transformers import AutoImageProcessor, AutoModelForImageClassification  # noqa: PLC0415  (takes seconds)

        self.digest = self._place.admit()
        options = {"local_files_only": True, "trust_remote_code": False}
        self._processor = AutoImageProcessor.from_pretrained(self._place.directory, **options)
        model, report = AutoModelForImageClassification.from_pretrained(
            self._place.directory, use_safetensors=True, output_loading_info=True, **options
        )
        require_whole(self.name, report)
        self._counted = _find(self._place.labels, model.config.id2label)
        self._model = model.to(device).eval()

    def prepare(self, picture: Image.Image) -> torch.Tensor:
        """Return the picture as the classifier's own processor lays it out."""
        pixels: torch.Tensor = self._processor(picture, return_tensors="pt")["pixel_values"]
        return pixels

    def measure(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the log-odds of the labels that count, together."""
        logits = self._model(pixel_values=pixels).logits[0]
        others = [index for index in range(len(logits)) if index not in self._counted]
        return torch.logsumexp(logits[self._counted], 0) - torch.logsumexp(logits[others], 0)

    def score(self, measured: float) -> float:
        """Return the probability of the labels that count."""
        return float(torch.sigmoid(torch.tensor(measured)))


def _find(labels: object, known: dict[int, str]) -> list[int]:
    wanted = set(labels) if isinstance(labels, tuple) else set()
    found = [int(index) for index, label in known.items() if label in wanted]
    if not wanted or len(found) != len(wanted) or len(found) == len(known):
        names = ", ".join(known.values())
        raise SafetyUnavailableError(f"Name with label= some, not all, of the classifier's labels: {names}.")
    return found
