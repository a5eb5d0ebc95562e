"""Pipelines of known architectures in their real sizes, with random weights, made on the device without a download.

Times do not depend on what the weights say. Sizes are those of the published configurations (Stable Diffusion 1.5, SDXL
1.0, FLUX.1-dev). The tokenizers are small ones: the encoders see as many tokens as ever, only fewer different ones.
"""

import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from common.models.catalog import STARTER, Family, ModelCard

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
TINY_SIDE, TINY_STEPS = 64, 2
SEED = 0

Options = dict[str, Any]


@dataclass(frozen=True)
class Architecture:
    """What is measured: a pipeline, and how its pictures are usually asked for."""

    family: Family
    side: int
    steps: int
    guidance_scale: float
    batches: tuple[int, ...]
    build: Callable[[bool], Any]  # called with whether it shall be tiny

    def card(self, name: str, *, is_tiny: bool) -> ModelCard:
        """Return the card under which the engine offers it."""
        side = TINY_SIDE if is_tiny else self.side
        return ModelCard(
            name=name,
            title=name,
            family=self.family,
            batching=True,
            default_width=side,
            default_height=side,
            default_steps=TINY_STEPS if is_tiny else self.steps,
            default_guidance_scale=self.guidance_scale,
            min_size=side,
            max_size=side,
            size_multiple=16,
        )


def make(architecture: Architecture, device: torch.device, dtype: torch.dtype, *, is_tiny: bool) -> Any:
    """Return the pipeline on *device*, its weights drawn there in *dtype*."""
    before = torch.get_default_dtype()
    torch.manual_seed(SEED)
    torch.set_default_dtype(dtype)
    try:
        with device:
            pipeline = architecture.build(is_tiny)
    finally:
        torch.set_default_dtype(before)
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.to(device, dtype).eval().requires_grad_(requires_grad=False)
    return pipeline


def _sd15(is_tiny: bool) -> Any:
    channels = (32, 32, 64, 64) if is_tiny else (320, 640, 1280, 1280)
    width = 32 if is_tiny else 768
    unet = UNet2DConditionModel(
        sample_size=TINY_SIDE // 8 if is_tiny else 64,
        block_out_channels=channels,
        cross_attention_dim=width,
        attention_head_dim=8,
    )
    return StableDiffusionPipeline(
        vae=_vae(is_tiny, latent_channels=4, scaling_factor=0.18215),
        text_encoder=_clip_large(is_tiny),
        tokenizer=_clip_tokenizer(),
        unet=unet,
        scheduler=_on_host(PNDMScheduler, skip_prk_steps=True, set_alpha_to_one=False, **BETAS),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl(is_tiny: bool) -> Any:
    second = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    if not is_tiny:
        second = {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 20, "intermediate_size": 5120}
    summary = second["hidden_size"]
    time_width = 8 if is_tiny else 256
    unet = UNet2DConditionModel(
        sample_size=TINY_SIDE // 8 if is_tiny else 128,
        block_out_channels=(32, 32, 64) if is_tiny else (320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 1) if is_tiny else (1, 2, 10),
        attention_head_dim=(4, 4, 4) if is_tiny else (5, 10, 20),
        cross_attention_dim=64 if is_tiny else 2048,
        addition_embed_type="text_time",
        addition_time_embed_dim=time_width,
        projection_class_embeddings_input_dim=6 * time_width + summary,
        use_linear_projection=True,
    )
    return StableDiffusionXLPipeline(
        vae=_vae(is_tiny, latent_channels=4, scaling_factor=0.13025, force_upcast=False),
        text_encoder=_clip_large(is_tiny),
        text_encoder_2=CLIPTextModelWithProjection(_clip_config(projection_dim=summary, hidden_act="gelu", **second)),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_clip_tokenizer(),
        unet=unet,
        scheduler=_on_host(EulerDiscreteScheduler, **BETAS),
        add_watermarker=False,
    )


def _flux(is_tiny: bool) -> Any:
    small = {
        "num_layers": 1,
        "num_single_layers": 1,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": 32,
        "pooled_projection_dim": 32,
        "axes_dims_rope": (4, 4, 8),
    }
    words = {"d_model": 32, "d_ff": 64, "d_kv": 8, "num_heads": 4, "num_layers": 1}
    if not is_tiny:
        words = {"d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_heads": 64, "num_layers": 24}
    return FluxPipeline(
        transformer=FluxTransformer2DModel(guidance_embeds=True, **(small if is_tiny else {})),
        scheduler=_on_host(FlowMatchEulerDiscreteScheduler, shift=3.0, use_dynamic_shifting=True),
        vae=_vae(is_tiny, latent_channels=16, scaling_factor=0.3611, shift_factor=0.1159,
                 use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=_clip_large(is_tiny),
        tokenizer=_clip_tokenizer(),
        text_encoder_2=T5EncoderModel(T5Config(vocab_size=32128, feed_forward_proj="gated-gelu", **words)),
        tokenizer_2=_t5_tokenizer(),
    )  # fmt: skip


ARCHITECTURES = {
    "sd15": Architecture(Family.SD15, 512, 30, 7.5, (1, 2, 4, 8, 16), _sd15),
    "sdxl": Architecture(Family.SDXL, 1024, 30, 5.0, (1, 2, 4, 8), _sdxl),
    "sdxl-lightning": Architecture(Family.SDXL, 1024, 4, 0.0, (1, 2, 4, 8), _sdxl),  # few steps, no guidance
    "flux": Architecture(Family.FLUX, 1024, 28, 3.5, (1, 2, 4), _flux),
}
"""Batches are those that one command has the time for; others can be asked for."""


def _on_host(kind: Any, **options: Any) -> Any:
    """Return a scheduler, whose tables belong on the CPU."""
    with torch.device("cpu"):
        return kind(**options)


def _vae(is_tiny: bool, **options: Any) -> Any:
    return AutoencoderKL(
        block_out_channels=(32,) * 4 if is_tiny else (128, 256, 512, 512),
        layers_per_block=1 if is_tiny else 2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=TINY_SIDE if is_tiny else 512,
        **options,
    )


def _clip_large(is_tiny: bool) -> Any:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    if not is_tiny:
        sizes = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
    return CLIPTextModel(_clip_config(projection_dim=sizes["hidden_size"], hidden_act="quick_gelu", **sizes))


def _clip_config(**options: Any) -> CLIPTextConfig:
    tokenizer = _clip_tokenizer()
    return CLIPTextConfig(
        vocab_size=49408,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **options,
    )


def _clip_tokenizer() -> Any:
    return CLIPTokenizer.from_pretrained(STARTER / "tokenizer", model_max_length=77, local_files_only=True)


def _t5_tokenizer() -> Any:
    letters = [(letter, -3.0) for letter in string.ascii_lowercase]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\N{LOWER ONE EIGHTH BLOCK}", -2.0), *letters]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=512)
