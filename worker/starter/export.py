"""Export the finished model as a half-precision folder that plain diffusers can load."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline
from transformers import CLIPTokenizer

from worker.starter.denoiser import Denoiser, build_schedule
from worker.starter.recipe import Recipe

DEFAULT_STEPS, DEFAULT_GUIDANCE = 16, 2.5


def assemble_pipeline(
    denoiser: Denoiser, autoencoder: AutoencoderTiny, tokenizer: CLIPTokenizer
) -> StableDiffusionPipeline:
    """Join the four trained parts and the sampler into one pipeline."""
    return StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=denoiser.text,
        tokenizer=tokenizer,
        unet=denoiser.unet,
        scheduler=build_schedule(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def build_card(recipe: Recipe, version: str) -> dict[str, Any]:
    """Return the contents of `pressroom.json`, stored next to `model_index.json`."""
    sizes = dict.fromkeys(("default_width", "default_height", "min_size", "max_size"), recipe.side)
    return {
        "title": "Starter",
        "description": f"Our own small model, {version}: one of 96 subjects on one of 14 plain backgrounds.",
        **sizes,
        "default_steps": DEFAULT_STEPS,
        "default_guidance_scale": DEFAULT_GUIDANCE,
        "size_multiple": 2 ** (len(recipe.autoencoder.encoder_blocks) - 1),
    }


def write_pipeline(pipeline: StableDiffusionPipeline, tokenizer_files: Path, folder: Path, recipe: Recipe) -> None:
    """Save weights, settings and the card; parts compute in single precision, even if stored in half."""
    pipeline.to(torch.float16)
    pipeline.save_pretrained(folder, safe_serialization=True)
    pipeline.to(torch.float32)
    for name in (
        "vocab.json",
        "merges.txt",
    ):  # transformers 5 writes a file of another name; older programs read these two
        shutil.copyfile(tokenizer_files / name, folder / "tokenizer" / name)
    text = folder / "text_encoder" / "config.json"
    settings = json.loads(text.read_text("utf-8"))
    settings["dtype"] = "float32"
    text.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    (folder / "pressroom.json").write_text(json.dumps(build_card(recipe, folder.name), indent=2) + "\n", "utf-8")


def count_weight_bytes(folder: Path) -> int:
    """Count the bytes of all weights in the folder."""
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
