"""Stable Diffusion 1.x and 2.x: a U-Net on latents, one text encoder, classifier-free guidance.

Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models" (2022).
"""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import retrieve_timesteps

from common.requests import ImageRequest
from worker.engine.families.denoising import Denoising, DenoisingFamily, Tensor, generator, guide, stack, stack_times
from worker.engine.port import Inputs


class Sd15Family(DenoisingFamily):
    """One Stable Diffusion 1.x or 2.x model."""

    def encode(self, request: ImageRequest) -> dict[str, Tensor]:
        """Return the prompt's embedding, and the negative prompt's where guidance is on."""
        prompt, negative = self.pipeline.encode_prompt(
            request.prompt, self.device.torch, 1, request.is_guided, request.negative_prompt
        )
        return {"prompt": prompt, "negative": negative} if request.is_guided else {"prompt": prompt}

    def draw(self, request: ImageRequest, seed: int, inputs: Inputs, condition: dict[str, Tensor]) -> Denoising:
        """Return the drawing of one seed: pure noise."""
        own, dice = self.own_pipeline(request), generator(seed)
        timesteps, _ = retrieve_timesteps(own.scheduler, request.steps, "cpu")
        latents = own.prepare_latents(
            1,
            own.unet.config.in_channels,
            request.height,
            request.width,
            condition["prompt"].dtype,
            self.device.torch,
            dice,
        )
        options: dict[str, Any] = own.prepare_extra_step_kwargs(dice, 0.0)
        return Denoising(request, seed, own.scheduler, timesteps, latents, condition, options)

    def forward(self, drawings: Sequence[Denoising]) -> Tensor:
        """Return the guided noise in each row."""
        rows = torch.cat([drawing.scaled_latents() for drawing in drawings])
        times = stack_times(drawings).to(self.device.torch, non_blocking=True)
        prompts = stack(drawings, "prompt")
        if not drawings[0].request.is_guided:
            return self._ask(rows, times, prompts)
        both = torch.cat([stack(drawings, "negative"), prompts])
        return guide(self._ask(rows.repeat(2, 1, 1, 1), times.repeat(2), both), drawings)

    def decode(self, drawings: Sequence[Denoising]) -> Tensor:
        """Return the finished pictures, from 0 to 1."""
        vae = self.pipeline.vae
        latents = torch.cat([drawing.latents for drawing in drawings]) / vae.config.scaling_factor
        pixels = vae.decode(latents, return_dict=False)[0]
        pictures: Tensor = self.pipeline.image_processor.postprocess(pixels, output_type="pt")
        return pictures

    def _ask(self, rows: Tensor, times: Tensor, prompts: Tensor) -> Tensor:
        unet = self.pipeline.unet
        noise: Tensor = unet(rows, times, encoder_hidden_states=prompts, return_dict=False)[0]
        return noise
