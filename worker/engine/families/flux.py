"""FLUX.1: a flow-matching transformer on packed latents that takes the guidance scale as an input.

Black Forest Labs (2024), https://github.com/black-forest-labs/flux.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from diffusers.pipelines.flux.pipeline_flux import retrieve_timesteps

from common.jobs.request import ImageRequest
from worker.engine.families import flow_matching
from worker.engine.families.denoising import (
    Denoising,
    DenoisingFamily,
    Tensor,
    build_guidance_scales,
    create_generator,
    stack_conditions,
)
from worker.engine.interface import Inputs

MOST_SHIFT = 1.15
"""The stock pipeline's default if the scheduler does not set it."""


class FluxFamily(DenoisingFamily):
    """One FLUX.1 model; each image fills one row, because guidance needs no second row without the prompt."""

    token_limits: Mapping[str, int] = {"tokenizer_2": 512}  # the default of ``encode_prompt``

    def encode(self, request: ImageRequest) -> dict[str, Tensor]:
        """Return the prompt embedding, the pooled embedding and the token positions."""
        prompt, pooled, places = self.pipeline.encode_prompt(request.prompt, device=self.device.torch)
        return {"prompt": prompt, "pooled": pooled, "words": places}

    def draw(self, request: ImageRequest, seed: int, inputs: Inputs, condition: dict[str, Tensor]) -> Denoising:
        """Return the initial drawing for one seed: pure noise."""
        own, dice = self.own_pipeline(request), create_generator(seed)
        latents, places = own.prepare_latents(
            1,
            own.transformer.config.in_channels // 4,  # a token is a square of 2 × 2
            request.height,
            request.width,
            condition["prompt"].dtype,
            self.device.torch,
            dice,
        )
        config, steps = own.scheduler.config, request.steps
        timesteps, _ = retrieve_timesteps(
            own.scheduler,
            steps,
            "cpu",
            sigmas=None if config.get("use_flow_sigmas") else np.linspace(1.0, 1 / steps, steps),
            mu=flow_matching.compute_shift(config, latents.shape[1], MOST_SHIFT),
        )
        own.scheduler.set_begin_index(0)
        options = flow_matching.build_step_options(own.scheduler, dice)
        return Denoising(request, seed, own.scheduler, timesteps, latents, condition | {"tokens": places}, options)

    def ask(self, rows: Tensor, times: Tensor, drawings: Sequence[Denoising]) -> Tensor:
        """Return the transformer's output for *rows*."""
        transformer, places = self.pipeline.transformer, drawings[0].condition  # the same for all of one size
        told = build_guidance_scales(drawings, rows.device) if transformer.config.guidance_embeds else None
        said: tuple[Tensor, ...] = transformer(
            rows,
            stack_conditions(drawings, "prompt"),
            stack_conditions(drawings, "pooled"),
            times.to(rows.dtype) / 1000,
            places["tokens"],
            places["words"],
            told,
            return_dict=False,
        )
        return said[0]

    def decode(self, drawings: Sequence[Denoising]) -> Tensor:
        """Return the finished images, from 0 to 1."""
        request, scale = drawings[0].request, self.pipeline.vae.config
        packed = torch.cat([drawing.latents for drawing in drawings])
        latents = self.pipeline._unpack_latents(packed, request.height, request.width, self.pipeline.vae_scale_factor)  # noqa: SLF001
        return self.paint(latents / scale.scaling_factor + scale.shift_factor)
