"""The safety checker of Stable Diffusion, from a directory: how near a picture comes to its concepts.

Rando et al., "Red-Teaming the Stable Diffusion Safety Filter", 2022, tells what it sees and what it does not. Used by
its embeddings, because its own verdict passes what is no number, and anything at all if its concepts are missing.
"""

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from common.errors import SafetyUnavailableError
from worker.checkers.model_directories import Place, require_whole

SPECIAL_CARE = 0.01
"""By how much less a concept suffices where a picture comes near one of special care; as in the original."""


class SdCheckerNetwork:
    """Tells whether a picture comes nearer to one of the concepts than it may: yes or no, so 1 or 0."""

    name = "sd_checker"

    def __init__(self, place: Place) -> None:
        self._place = place
        self.digest = place.digest or ""

    def load(self, device: torch.device) -> None:
        """Open the directory; raise SafetyUnavailableError unless it is whole and known, and its concepts are any."""
        from diffusers.pipelines.stable_diffusion.safety_checker import (  # noqa: PLC0415  (takes seconds)
            StableDiffusionSafetyChecker,
        )
        from transformers import AutoImageProcessor  # noqa: PLC0415  (likewise)

        self.digest = self._place.admit()
        directory = self._place.directory
        model, report = StableDiffusionSafetyChecker.from_pretrained(
            directory, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        require_whole(self.name, report)
        _require_concepts(model)
        self._processor = AutoImageProcessor.from_pretrained(_find_processor(directory), local_files_only=True)
        self._model = model.to(device).eval()

    def prepare(self, picture: Image.Image) -> torch.Tensor:
        """Return the picture as CLIP wants it."""
        pixels: torch.Tensor = self._processor(picture, return_tensors="pt")["pixel_values"]
        return pixels

    def measure(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return by how much the picture is nearer to a concept than it may be; less than nothing for most."""
        model = self._model
        seen = model.visual_projection(model.vision_model(pixels)[1])[0]
        special = _nearness(seen, model.special_care_embeds) - model.special_care_embeds_weights
        leeway = torch.where((special > 0).any(), SPECIAL_CARE, 0.0)
        excess: torch.Tensor = _nearness(seen, model.concept_embeds) - model.concept_embeds_weights + leeway
        return excess.max()

    def score(self, measured: float) -> float:
        """Return 1 for a picture that is too near, else 0: the checker knows nothing between."""
        return float(measured > 0)


def _nearness(seen: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(seen[None], concepts, dim=1)


def _require_concepts(model: Any) -> None:
    """Refuse what a checker has that was never given any: concepts of ones, or bounds that no cosine reaches."""
    for concepts, bounds in (
        (model.concept_embeds, model.concept_embeds_weights),
        (model.special_care_embeds, model.special_care_embeds_weights),
    ):
        are_finite = bool(torch.isfinite(concepts).all() and torch.isfinite(bounds).all())
        are_alike = bool((concepts == concepts[0]).all())
        if not are_finite or are_alike or bool((bounds >= 1).any()):
            raise SafetyUnavailableError("The safety checker has no concepts: its file is incomplete.")


def _find_processor(directory: Path) -> Path:
    for folder in (directory, directory.parent / "feature_extractor"):
        if (folder / "preprocessor_config.json").is_file():
            return folder
    raise SafetyUnavailableError(
        f"Neither {directory} nor a feature_extractor beside it has a preprocessor_config.json."
    )
