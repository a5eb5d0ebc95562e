"""Stable Diffusion 3 and 3.5: a flow-matching transformer, three text encoders, classifier-free guidance.

Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis" (2024).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3 import retrieve_timesteps

from common.jobs.request import ImageRequest
from worker.engine.families import flow_matching
from worker.engine.families.denoising import Denoising, DenoisingFamily, Tensor, create_generator, stack_conditions
from worker.engine.interface import Inputs

MOST_SHIFT = 1.16
"""The stock pipeline's default if the scheduler does not set it."""


class Sd3Family(DenoisingFamily):
    """One Stable Diffusion 3 or 3.5 model."""

    token_limits: Mapping[str, int] = {"tokenizer_3": 256}  # the default of ``encode_prompt``

    def encode(self, request: ImageRequest) -> dict[str, Tensor]:
        """Return the embeddings of the three encoders and the pooled embedding."""
        prompt, negative, pooled, negative_pooled = self.pipeline.encode_prompt(
            request.prompt,
            None,
            None,
            device=self.device.torch,
            do_classifier_free_guidance=request.is_guided,
            negative_prompt=request.negative_prompt or None,
        )
        if request.is_guided:
            prompt, pooled = torch.cat([negative, prompt]), torch.cat([negative_pooled, pooled])
        return {"prompt": prompt, "pooled": pooled}

    def draw(self, request: ImageRequest, seed: int, inputs: Inputs, condition: dict[str, Tensor]) -> Denoising:
        """Return the initial drawing for one seed: pure noise."""
        own, dice = self.own_pipeline(request), create_generator(seed)
        latents = own.prepare_latents(
            1,
            own.transformer.config.in_channels,
            request.height,
            request.width,
            condition["prompt"].dtype,
            self.device.torch,
            dice,
        )
        shift = {"mu": self._shift(own.scheduler, latents)} if own.scheduler.config.get("use_dynamic_shifting") else {}
        timesteps, _ = retrieve_timesteps(own.scheduler, request.steps, "cpu", **shift)
        options = flow_matching.build_step_options(own.scheduler, dice)
        return Denoising(request, seed, own.scheduler, timesteps, latents, condition, options)

    def ask(self, rows: Tensor, times: Tensor, drawings: Sequence[Denoising]) -> Tensor:
        """Return the transformer's output for *rows*."""
        said: tuple[Tensor, ...] = self.pipeline.transformer(
            rows, stack_conditions(drawings, "prompt"), stack_conditions(drawings, "pooled"), times, return_dict=False
        )
        return said[0]

    def decode(self, drawings: Sequence[Denoising]) -> Tensor:
        """Return the finished images, from 0 to 1."""
        scale = self.pipeline.vae.config
        latents = torch.cat([drawing.latents for drawing in drawings])
        return self.paint(latents / scale.scaling_factor + scale.shift_factor)

    def _shift(self, scheduler: Any, latents: Tensor) -> float:
        patch, (height, width) = self.pipeline.transformer.config.patch_size, latents.shape[-2:]
        return flow_matching.compute_shift(scheduler.config, (height // patch) * (width // patch), MOST_SHIFT)
