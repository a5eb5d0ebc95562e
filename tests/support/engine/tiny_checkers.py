"""Tiny networks that look at pictures, built from configurations, that know dark from bright and nothing else."""

from pathlib import Path

import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPVisionConfig,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

SIDE = 32
LABELS = {0: "normal", 1: "nsfw"}
SIZE = {"height": SIDE, "width": SIDE}


def save_classifier(directory: Path) -> Path:
    """Save a vision transformer, whose head leans to the first label and has a steep slope to the other."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ViTConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=SIDE,
            patch_size=8, id2label=LABELS, label2id={label: index for index, label in LABELS.items()},
        )  # fmt: skip
        model = ViTForImageClassification(config)
        with torch.no_grad():
            model.classifier.weight.mul_(200)
            model.classifier.bias.copy_(torch.tensor([3.0, -3.0]))
    model.save_pretrained(directory)
    ViTImageProcessor(size=SIZE).save_pretrained(directory)
    return directory


def build_sd_checker() -> StableDiffusionSafetyChecker:
    """Return a checker as diffusers builds it: its concepts are all ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = CLIPConfig(
            projection_dim=16,
            vision_config=CLIPVisionConfig(
                hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=SIDE,
                patch_size=8, projection_dim=16,
            ).to_dict(),
            text_config=CLIPTextConfig(
                vocab_size=64, hidden_size=32, bos_token_id=0, eos_token_id=1, pad_token_id=1
            ).to_dict(),
        )  # fmt: skip
        return StableDiffusionSafetyChecker(config)


def save_sd_checker(directory: Path, refused: torch.Tensor | None = None, passed: torch.Tensor | None = None) -> Path:
    """Save a checker with random concepts, but for one that *refused* is near to and *passed* is not."""
    model = build_sd_checker()
    with torch.no_grad():
        concepts = torch.randn(model.concept_embeds.shape, generator=torch.Generator().manual_seed(1))
        model.concept_embeds.copy_(concepts)
        model.special_care_embeds.copy_(concepts[: len(model.special_care_embeds)])
        model.concept_embeds_weights.fill_(0.99)
        model.special_care_embeds_weights.fill_(0.99)
        if refused is not None and passed is not None:
            far, near = (model.visual_projection(model.vision_model(each)[1])[0] for each in (passed, refused))
            away = near - far
            model.concept_embeds[0] = away
            reached = torch.nn.functional.cosine_similarity(torch.stack([far, near]), away[None], dim=1)
            model.concept_embeds_weights[0] = float(reached.mean())
    model.save_pretrained(directory)
    CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIZE).save_pretrained(directory)
    return directory
