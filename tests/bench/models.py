"""The fixed benchmark model: of the starter's shape, drawing 256 px from 16×16 latents, with random weights.

A picture's time does not depend on what the weights say, so they are drawn from one seed: the model stays the same
when the starter model is trained anew. Text encoder, tokenizer and autoencoder are the starter's own.
"""

import json
import shutil
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

from common.models.catalog import STARTER

NAME = "bench-256"
LATENT_SIDE = 16
SEED = 4


def build(folder: Path) -> Path:
    """Write the model into *folder* and return its directory, which takes about 15 MB."""
    directory = folder / NAME
    shutil.copytree(STARTER, directory, ignore=shutil.ignore_patterns("unet", "*.png", "*.md"))
    config = {**UNet2DConditionModel.load_config(STARTER / "unet"), "sample_size": LATENT_SIDE}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        unet = UNet2DConditionModel.from_config(config)
    unet.save_pretrained(directory / "unet", safe_serialization=True)
    side = {"default_width": 256, "default_height": 256, "min_size": 256, "max_size": 256}
    card = json.loads((directory / "pressroom.json").read_text("utf-8"))
    card |= {"title": "Benchmark", "description": "Random weights of the starter's shape.", **side}
    (directory / "pressroom.json").write_text(json.dumps(card), "utf-8")
    return directory
