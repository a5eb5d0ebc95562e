"""Generate images from the trained folder with plain diffusers, as any other program would."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from worker.starter.pictures import Pixels


def load_pipeline(folder: Path, device: str = "cpu") -> StableDiffusionPipeline:
    """Load the pipeline of a folder, in single precision, without its progress bar."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True).to(device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw_pictures(
    pipeline: StableDiffusionPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    steps: int,
    guidance: float,
    batch: int = 16,
) -> list[Pixels]:
    """Draw one picture (side, side, 3 bytes) for each prompt, each from its own seed."""
    drawn: list[Pixels] = []
    for start in range(0, len(prompts), batch):
        part = slice(start, start + batch)
        made = pipeline(
            list(prompts[part]),
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds[part]],
            output_type="np",
        ).images
        drawn += [(picture * 255).round().astype(np.uint8) for picture in made]
    return drawn
