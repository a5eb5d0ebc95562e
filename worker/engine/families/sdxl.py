"""Stable Diffusion XL: a larger U-Net, two text encoders, and conditioning on the image size.

Podell et al., "SDXL: Improving Latent Diffusion Models for High-Resolution Image Synthesis" (2023).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLInpaintPipeline

from common.jobs.request import ImageRequest, Mode
from worker.engine.families.denoising import Denoising, Tensor, stack_conditions
from worker.engine.families.sd15 import Sd15Family


class SdxlFamily(Sd15Family):
    """One Stable Diffusion XL model."""

    kinds: Mapping[Mode, Callable[..., Any]] = {
        Mode.IMAGE: StableDiffusionXLImg2ImgPipeline,
        Mode.INPAINT: StableDiffusionXLInpaintPipeline,
    }
    kind_options: Mapping[str, Any] = {"add_watermarker": False}  # the press marks its images itself

    def encode(self, request: ImageRequest) -> dict[str, Tensor]:
        """Return the embeddings of both encoders, the pooled embedding and the image size."""
        guided = self._guides(request)
        prompt, negative, pooled, negative_pooled = self.pipeline.encode_prompt(
            request.prompt,
            device=self.device.torch,
            do_classifier_free_guidance=guided,
            # For an absent text the model expects zeros, as in training, not the embedding of an empty text.
            negative_prompt=request.negative_prompt or None,
        )
        if guided:
            prompt, pooled = torch.cat([negative, prompt]), torch.cat([negative_pooled, pooled])
        size = (request.height, request.width)
        sizes = torch.tensor([[*size, 0, 0, *size]], dtype=prompt.dtype)  # original size, crop corner, target size
        sizes = sizes.to(self.device.torch).repeat(len(prompt), 1)
        return {"prompt": prompt, "pooled": pooled, "sizes": sizes} | self._set_scale(request, prompt.dtype)

    def added(self, drawings: Sequence[Denoising]) -> dict[str, Tensor]:
        """Return the pooled embedding and the size conditions."""
        return {"text_embeds": stack_conditions(drawings, "pooled"), "time_ids": stack_conditions(drawings, "sizes")}

    def decode(self, drawings: Sequence[Denoising]) -> Tensor:
        """Return the finished images, from 0 to 1."""
        vae = self.pipeline.vae
        if vae.dtype == torch.float16 and vae.config.force_upcast:
            vae.to(torch.float32)  # its values overflow 16 bits
        latents = torch.cat([drawing.latents for drawing in drawings]).to(vae.dtype)
        mean, deviation = vae.config.get("latents_mean"), vae.config.get("latents_std")
        if mean is None or deviation is None:
            return self.paint(latents / vae.config.scaling_factor)
        by_channel = torch.tensor([mean, deviation]).to(latents, non_blocking=True).view(2, 1, -1, 1, 1)
        return self.paint(latents * by_channel[1] / vae.config.scaling_factor + by_channel[0])
