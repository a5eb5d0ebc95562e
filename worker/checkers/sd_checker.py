"""Stable Diffusion's safety checker, loaded from a directory: distance of an image to its concepts.

Rando et al., "Red-Teaming the Stable Diffusion Safety Filter", 2022, describes what it detects and misses. Only its
embeddings are used: its own verdict passes NaN values, and passes every image if the concepts are missing.
"""

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from common.errors import SafetyUnavailableError
from worker.checkers.model_directories import CheckerDirectory, check_weights_complete

SPECIAL_CARE = 0.01
"""Threshold reduction for images near a special-care concept, as in the original."""


class SdCheckerNetwork:
    """Report whether an image is closer to any concept than allowed: 1 or 0."""

    name = "sd_checker"

    def __init__(self, place: CheckerDirectory) -> None:
        self._place = place
        self.digest = place.digest or ""

    def load(self, device: torch.device) -> None:
        """Load the directory; raise SafetyUnavailableError unless it is complete, trusted and has concepts."""
        from diffusers.pipelines.stable_diffusion.safety_checker import (  # noqa: PLC0415  (takes seconds)
            StableDiffusionSafetyChecker,
        )
        from transformers import AutoImageProcessor  # noqa: PLC0415  (likewise)

        self.digest = self._place.verify()
        directory = self._place.directory
        model, report = StableDiffusionSafetyChecker.from_pretrained(
            directory, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        check_weights_complete(self.name, report)
        _check_concepts(model)
        self._processor = AutoImageProcessor.from_pretrained(_find_processor(directory), local_files_only=True)
        self._model = model.to(device).eval()

    def prepare(self, picture: Image.Image) -> torch.Tensor:
        """Return the image as preprocessed for CLIP."""
        pixels: torch.Tensor = self._processor(picture, return_tensors="pt")["pixel_values"]
        return pixels

    def measure(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return how far the image exceeds the limit of its closest concept; negative for most images."""
        model = self._model
        seen = model.visual_projection(model.vision_model(pixels)[1])[0]
        special = _compute_similarity(seen, model.special_care_embeds) - model.special_care_embeds_weights
        leeway = torch.where((special > 0).any(), SPECIAL_CARE, 0.0)
        excess: torch.Tensor = _compute_similarity(seen, model.concept_embeds) - model.concept_embeds_weights + leeway
        return excess.max()

    def score(self, measured: float) -> float:
        """Return 1 for an image that is too close to a concept, otherwise 0; the checker has no values in between."""
        return float(measured > 0)


def _compute_similarity(seen: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(seen[None], concepts, dim=1)


def _check_concepts(model: Any) -> None:
    """Reject placeholder concepts: embeddings of ones, or thresholds that no cosine can reach."""
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
        f"preprocessor_config.json not found in {directory} or in a feature_extractor directory next to it."
    )
