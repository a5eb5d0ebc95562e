"""Stable Diffusion 1.x and 2.x: a U-Net on latents, one text encoder, classifier-free guidance.

Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models" (2022).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import retrieve_timesteps

from common.jobs.request import ImageRequest, Mode
from common.models.catalog import ModelCard
from worker.engine.families.denoising import Denoising, DenoisingFamily, Tensor, create_generator, stack_conditions
from worker.engine.families.modes import StockModes, create_blank_inputs
from worker.engine.interface import Inputs
from worker.torch_device import Device


class Sd15Family(DenoisingFamily):
    """One Stable Diffusion 1.x or 2.x model."""

    modes = frozenset(Mode)
    kinds: Mapping[Mode, Callable[..., Any]] = {
        Mode.IMAGE: StableDiffusionImg2ImgPipeline,
        Mode.INPAINT: StableDiffusionInpaintPipeline,
    }
    kind_options: Mapping[str, Any] = {"requires_safety_checker": False}

    def __init__(self, pipeline: Any, card: ModelCard, device: Device) -> None:
        super().__init__(pipeline, card, device)
        self._stock_modes = StockModes(pipeline, self.kinds, self.kind_options)

    def encode(self, request: ImageRequest) -> dict[str, Tensor]:
        """Return the prompt embedding, preceded by the negative prompt's if guidance is on."""
        guided = self._guides(request)
        prompt, negative = self.pipeline.encode_prompt(
            request.prompt, self.device.torch, 1, guided, request.negative_prompt or None
        )
        condition = {"prompt": torch.cat([negative, prompt]) if guided else prompt}
        return condition | self._set_scale(request, prompt.dtype)

    def draw(self, request: ImageRequest, seed: int, inputs: Inputs, condition: dict[str, Tensor]) -> Denoising:
        """Return the initial drawing for one seed, from pure noise or from the input images."""
        own, dice = self.own_pipeline(request), create_generator(seed)
        can_only_inpaint = own.unet.config.in_channels != own.vae.config.latent_channels
        if request.mode is Mode.TEXT and can_only_inpaint:
            inputs = create_blank_inputs(request)
        if request.mode is not Mode.TEXT or can_only_inpaint:
            return self._stock_modes.draw(request, seed, inputs, condition, own.scheduler)
        timesteps, _ = retrieve_timesteps(own.scheduler, request.steps, "cpu")
        if hasattr(own.scheduler, "set_begin_index"):
            own.scheduler.set_begin_index(0)  # not looked up by timestep, which may repeat after rounding
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

    def ask(self, rows: Tensor, times: Tensor, drawings: Sequence[Denoising]) -> Tensor:
        """Return the U-Net's output for *rows*."""
        prompts = stack_conditions(drawings, "prompt")
        scales = None if self._scale_width is None else stack_conditions(drawings, "guidance")
        said: tuple[Tensor, ...] = self.pipeline.unet(
            rows, times, prompts, timestep_cond=scales, added_cond_kwargs=self.added(drawings), return_dict=False
        )
        return said[0]

    def added(self, drawings: Sequence[Denoising]) -> dict[str, Tensor] | None:
        """Return the U-Net's conditions other than the prompt."""
        return None

    def decode(self, drawings: Sequence[Denoising]) -> Tensor:
        """Return the finished images, from 0 to 1."""
        latents = torch.cat([drawing.latents for drawing in drawings])
        return self.paint(latents / self.pipeline.vae.config.scaling_factor)

    @property
    def _scale_width(self) -> int | None:
        """Return the size of the guidance-scale embedding if the U-Net was distilled to use one."""
        width: int | None = self.pipeline.unet.config.time_cond_proj_dim
        return width

    def _guides(self, request: ImageRequest) -> bool:
        return request.is_guided and self._scale_width is None

    def _set_scale(self, request: ImageRequest, dtype: torch.dtype) -> dict[str, Tensor]:
        """Return the guidance-scale embedding for such a U-Net (Luo et al., "Latent Consistency Models", 2023)."""
        if self._scale_width is None:
            return {}
        over_none = torch.tensor([request.guidance_scale - 1])
        told = self.pipeline.get_guidance_scale_embedding(over_none, embedding_dim=self._scale_width)
        return {"guidance": told.to(self.device.torch, dtype)}
