"""Image-to-image and inpainting: each drawing begins as in the stock pipeline, built from the same parts.

Meng et al., "SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations" (2022), for
adding noise to the input; Lugmayr et al., "RePaint" (2022), for keeping the area outside the mask.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import retrieve_timesteps
from PIL import Image

from common.errors import GenerationError
from common.jobs.request import ImageRequest, Mode
from worker.engine.families.denoising import Denoising, Tensor, create_generator
from worker.engine.interface import Inputs


@dataclass(frozen=True)
class DrawingStart:
    """The start of a drawing: its latents, extra model inputs, and a function applied after each step."""

    latents: Tensor
    beside: Tensor | None = None
    after_step: Callable[[Denoising], None] | None = None


class StockModes:
    """The stock img2img and inpainting pipelines of one model, sharing its weights."""

    def __init__(self, pipeline: Any, kinds: Mapping[Mode, Callable[..., Any]], options: Mapping[str, Any]) -> None:
        self._pipeline = pipeline
        self._kinds = kinds
        self._options = options
        self._made: dict[Mode, Any] = {}

    def draw(
        self, request: ImageRequest, seed: int, inputs: Inputs, condition: dict[str, Tensor], scheduler: Any
    ) -> Denoising:
        """Return the initial drawing for one seed from the images in *inputs*; it takes ownership of *scheduler*."""
        mode = Mode.IMAGE if inputs.mask_image is None else Mode.INPAINT
        if request.steps_taken < 1:
            raise GenerationError("No step is left at this strength: increase strength or steps.")
        own = copy.copy(self._stock(mode))
        own.scheduler = scheduler
        dice = create_generator(seed)
        retrieve_timesteps(scheduler, request.steps, "cpu")
        timesteps, _ = own.get_timesteps(request.steps, request.strength, "cpu")
        begin = _begin_image if mode is Mode.IMAGE else _begin_inpaint
        start = begin(own, request, inputs, timesteps[:1], dice)
        options: dict[str, Any] = own.prepare_extra_step_kwargs(dice, 0.0)
        return Denoising(
            request,
            seed,
            scheduler,
            timesteps,
            start.latents,
            condition,
            options,
            beside=start.beside,
            after_step=start.after_step,
        )

    def _stock(self, mode: Mode) -> Any:
        if mode not in self._made:
            self._made[mode] = self._kinds[mode](**self._pipeline.components, **self._options)
        return self._made[mode]


def create_blank_inputs(request: ImageRequest) -> Inputs:
    """Return inputs that repaint everything, for text-only requests to a U-Net that can only inpaint."""
    size = (request.width, request.height)
    return Inputs(Image.new("RGB", size, "grey"), Image.new("L", size, "white"))


def _begin_image(own: Any, request: ImageRequest, inputs: Inputs, first: Tensor, dice: torch.Generator) -> DrawingStart:
    pixels = own.image_processor.preprocess(inputs.init_image, request.height, request.width)
    return DrawingStart(own.prepare_latents(pixels, first, 1, 1, own.unet.dtype, own.device, dice))


def _begin_inpaint(
    own: Any, request: ImageRequest, inputs: Inputs, first: Tensor, dice: torch.Generator
) -> DrawingStart:
    size = (request.height, request.width)
    pixels = own.image_processor.preprocess(inputs.init_image, *size).float()
    redrawn = own.mask_processor.preprocess(inputs.mask_image, *size)
    channels, seen = own.vae.config.latent_channels, own.unet.config.in_channels
    latents, noise, *kept = own.prepare_latents(
        1,
        channels,
        *size,
        own.unet.dtype,
        own.device,
        dice,
        image=pixels,
        timestep=first,
        is_strength_max=request.strength >= 1,
        return_noise=True,
        return_image_latents=seen == channels,
    )
    # Always encoded: it consumes random numbers, and later ones must match the stock pipeline.
    mask, masked = own.prepare_mask_latents(
        redrawn, pixels * (1 - redrawn), 1, *size, own.unet.dtype, own.device, dice, False
    )
    if seen == channels:
        return DrawingStart(latents, after_step=_build_mask_restorer(kept[0], noise, mask))
    beside = torch.cat([mask, masked], dim=1)
    if seen != channels + beside.shape[1]:
        raise GenerationError(f"This model's U-Net takes {seen} channels, so it cannot inpaint.")
    return DrawingStart(latents, beside=beside)


def _build_mask_restorer(kept: Tensor, noise: Tensor, mask: Tensor) -> Callable[[Denoising], None]:
    """Return a function that restores everything outside the mask after each step."""

    def put_back(drawing: Denoising) -> None:
        behind = kept
        if drawing.done < drawing.total:  # with the noise level of the next step
            behind = drawing.scheduler.add_noise(kept, noise, drawing.timestep.reshape(1))
        drawing.latents = (1 - mask) * behind + mask * drawing.latents

    return put_back
