"""The denoiser of the starter model: a UNet that removes noise from latents, conditioned on a caption.

Noise is added by a fixed schedule whose last step is noise alone (Lin et al. 2023: else white and black come out
grey). The UNet predicts the velocity (Salimans & Ho 2022). Losses are weighted by the signal-to-noise ratio cut at 5
(after Hang et al. 2023; one is added, so that steps of pure noise count too). One caption in ten is left out, for
classifier-free guidance (Ho & Salimans 2022).
"""

import random
from collections.abc import Callable

import torch
from diffusers import AutoencoderTiny, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from worker.starter import captions
from worker.starter.autoencoder import encode_pixels
from worker.starter.dataset import Scene
from worker.starter.recipe import DenoiserRecipe
from worker.starter.subjects import Vocabulary
from worker.starter.training import Run

OUTERMOST = ("unet.conv_in.", "unet.conv_out.", "time_embedding", "norm")


class Denoiser(nn.Module):
    """The UNet and the text encoder, which learn together."""

    def __init__(self, recipe: DenoiserRecipe, tokenizer: CLIPTokenizer, channels: int, cells: int) -> None:
        """Untrained networks for latents of channels x cells x cells."""
        super().__init__()
        self.text = build_text_encoder(recipe, tokenizer)
        self.unet = build_unet(recipe, channels, cells).to(memory_format=torch.channels_last)

    def forward(self, noisy: Tensor, steps: Tensor, tokens: Tensor) -> Tensor:
        """Predict the velocity (n, channels, cells, cells) of noisy latents at their steps, conditioned on tokens."""
        predicted: Tensor = self.unet(noisy, steps, self.text(tokens).last_hidden_state).sample
        return predicted


def build_unet(recipe: DenoiserRecipe, channels: int, cells: int) -> UNet2DConditionModel:
    """Return a UNet with self- and cross-attention on every level."""
    return UNet2DConditionModel(
        sample_size=cells,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=recipe.widths,
        layers_per_block=recipe.layers,
        down_block_types=("CrossAttnDownBlock2D",) * len(recipe.widths),
        up_block_types=("CrossAttnUpBlock2D",) * len(recipe.widths),
        cross_attention_dim=recipe.text_width,
        attention_head_dim=tuple(
            width // recipe.head_width for width in recipe.widths
        ),  # diffusers reads it as a count of heads
        norm_num_groups=16,
    )


def build_text_encoder(recipe: DenoiserRecipe, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Return a small CLIP text encoder for our own tokens."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.text_width,
        intermediate_size=4 * recipe.text_width,
        projection_dim=recipe.text_width,
        num_hidden_layers=recipe.text_layers,
        num_attention_heads=4,
        max_position_embeddings=recipe.tokens,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def build_schedule() -> DDIMScheduler:
    """Return the noise schedule of training, which is also the sampler that is shipped."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,  # not used with trailing steps, but the pipeline asks for it
    )


@torch.no_grad()
def encode_latents(autoencoder: AutoencoderTiny, pixels: Tensor, device: str = "cpu", batch: int = 32) -> Tensor:
    """Encode pictures given as bytes into latents (n, channels, cells, cells): once, then they are kept."""
    return torch.cat([autoencoder.encoder(encode_pixels(part).to(device)).cpu() for part in pixels.split(batch)])


def compute_velocity_loss(
    denoiser: Callable[[Tensor, Tensor, Tensor], Tensor],
    clean: Tensor,
    noise: Tensor,
    signal: Tensor,
    steps: Tensor,
    tokens: Tensor,
    cut: float,
) -> Tensor:
    """Weigh the square error of the predicted velocity; signal is the share of variance left at each step."""
    share = signal[steps].view(-1, 1, 1, 1)
    noisy = share.sqrt() * clean + (1 - share).sqrt() * noise
    velocity = share.sqrt() * noise - (1 - share).sqrt() * clean
    error = (denoiser(noisy, steps, tokens) - velocity).square().mean(dim=(1, 2, 3))
    ratio = signal[steps] / (1 - signal[steps])
    return (error * (ratio.clamp(max=cut) + 1) / (ratio + 1)).mean()


def spread_steps(count: int, last: int, dice: torch.Generator) -> Tensor:
    """Draw one step from each equal part of the schedule, so that a batch never misses a part by chance."""
    places = (torch.arange(count) + torch.rand(count, generator=dice)) / count
    return (places * last).long()[torch.randperm(count, generator=dice)]


def write_captions(scenes: list[Scene], vocabulary: Vocabulary, drop: float, dice: random.Random) -> list[str]:
    """Write a caption for each scene, some of them empty."""
    return ["" if dice.random() < drop else captions.write_caption(scene, vocabulary, dice) for scene in scenes]


def fit_denoiser(
    run: Run[Denoiser],
    latents: Tensor,
    scenes: list[Scene],
    vocabulary: Vocabulary,
    tokenizer: CLIPTokenizer,
    recipe: DenoiserRecipe,
    seed: int,
    until: float,
    device: str = "cpu",
) -> None:
    """Train until the recipe's last step or until the clock (time.monotonic) says stop."""
    signal = build_schedule().alphas_cumprod.to(device)

    def loss(step: int, dice: torch.Generator) -> Tensor:
        chosen = torch.randint(len(latents), (recipe.batch,), generator=dice)
        words = random.Random(seed * 1_000_003 + step)
        said = write_captions([scenes[n] for n in chosen.tolist()], vocabulary, recipe.drop_caption, words)
        tokens = tokenizer(
            said, padding="max_length", truncation=True, max_length=recipe.tokens, return_tensors="pt"
        ).input_ids
        clean = latents[chosen].to(device)
        noise = torch.randn(clean.shape, generator=dice).to(device)
        steps = spread_steps(recipe.batch, len(signal), dice).to(device)
        return compute_velocity_loss(run.network, clean, noise, signal, steps, tokens.to(device), recipe.min_snr)

    run.go_on(loss, recipe.steps, recipe.rates, seed, until)
