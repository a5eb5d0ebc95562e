"""Pictures from pictures: each drawing begins as in the stock img2img or inpainting pipeline, made of the same parts.

Meng et al., "SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations" (2022), for the way
back into noise; Lugmayr et al., "RePaint" (2022), for keeping what the mask does not name.
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
from worker.engine.families.denoising import Denoising, Tensor, generator
from worker.engine.interface import Inputs


@dataclass(frozen=True)
class Start:
    """Where a drawing begins: its latents, what the model sees beside them, and what happens after each step."""

    latents: Tensor
    beside: Tensor | None = None
    after_step: Callable[[Denoising], None] | None = None


class StockModes:
    """The stock pipelines of one model for pictures and masks; no weight is held twice."""

    def __init__(self, pipeline: Any, kinds: Mapping[Mode, Callable[..., Any]], options: Mapping[str, Any]) -> None:
        self._pipeline = pipeline
        self._kinds = kinds
        self._options = options
        self._made: dict[Mode, Any] = {}

    def draw(
        self, request: ImageRequest, seed: int, inputs: Inputs, condition: dict[str, Tensor], scheduler: Any
    ) -> Denoising:
        """Return the drawing of one seed, no step done, by the pictures in *inputs*; *scheduler* becomes its own."""
        mode = Mode.IMAGE if inputs.mask_image is None else Mode.INPAINT
        if request.steps_taken < 1:
            raise GenerationError("With so few steps this strength leaves none to take.")
        own = copy.copy(self._stock(mode))
        own.scheduler = scheduler
        dice = generator(seed)
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


def make_all_anew(request: ImageRequest) -> Inputs:
    """Return what a U-Net that can only inpaint is handed for a request of text alone, as for its first tries."""
    size = (request.width, request.height)
    return Inputs(Image.new("RGB", size, "grey"), Image.new("L", size, "white"))


def _begin_image(own: Any, request: ImageRequest, inputs: Inputs, first: Tensor, dice: torch.Generator) -> Start:
    pixels = own.image_processor.preprocess(inputs.init_image, request.height, request.width)
    return Start(own.prepare_latents(pixels, first, 1, 1, own.unet.dtype, own.device, dice))


def _begin_inpaint(own: Any, request: ImageRequest, inputs: Inputs, first: Tensor, dice: torch.Generator) -> Start:
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
    # Encoded in either case: it draws from the dice, and later draws must be those of the stock pipeline.
    mask, masked = own.prepare_mask_latents(
        redrawn, pixels * (1 - redrawn), 1, *size, own.unet.dtype, own.device, dice, False
    )
    if seen == channels:
        return Start(latents, after_step=_keeping(kept[0], noise, mask))
    beside = torch.cat([mask, masked], dim=1)
    if seen != channels + beside.shape[1]:
        raise GenerationError(f"This model's U-Net takes {seen} channels, so it cannot inpaint.")
    return Start(latents, beside=beside)


def _keeping(kept: Tensor, noise: Tensor, mask: Tensor) -> Callable[[Denoising], None]:
    """Return what puts back, after each step, everything but what the mask tells to draw anew."""

    def put_back(drawing: Denoising) -> None:
        behind = kept
        if drawing.done < drawing.total:  # as noisy as the rest will be at the next step
            behind = drawing.scheduler.add_noise(kept, noise, drawing.timestep.reshape(1))
        drawing.latents = (1 - mask) * behind + mask * drawing.latents

    return put_back
