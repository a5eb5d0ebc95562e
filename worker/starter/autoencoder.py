"""The autoencoder of the starter model: images to a small grid of latents and back (Rombach et al. 2021).

`AutoencoderTiny` (after TAESD by Ollin Boer Bohan) has no norms and no attention, which suits a processor. It is
trained on L1, on edges (L1 of neighbour differences, against softness) and on colour (L1 of 8-pixel means, against
drifting hues). Each latent channel is held at mean 0 and deviation 1, because the pipeline scales all of them by one
number.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch program uses
from diffusers import AutoencoderTiny
from torch import Tensor, nn

from worker.starter.recipe import AutoencoderRecipe
from worker.starter.training import Run


def build_autoencoder(recipe: AutoencoderRecipe) -> AutoencoderTiny:
    """Return an untrained autoencoder of the recipe's shape."""
    levels = len(recipe.encoder_blocks)
    return AutoencoderTiny(
        encoder_block_out_channels=(recipe.width,) * levels,
        decoder_block_out_channels=(recipe.width,) * levels,
        num_encoder_blocks=recipe.encoder_blocks,
        num_decoder_blocks=recipe.decoder_blocks,
        latent_channels=recipe.channels,
    ).to(memory_format=torch.channels_last)


def list_outermost_layers(network: AutoencoderTiny) -> tuple[str, str]:
    """Name the first and the last convolution, which AdamW trains (see muon.py)."""
    return "encoder.layers.0.weight", f"layers.{len(network.decoder.layers) - 1}.weight"


def encode_pixels(pixels: Tensor) -> Tensor:
    """Turn bytes (n, height, width, 3) into floats in -1..1 (n, 3, height, width), channels last in memory."""
    return pixels.permute(0, 3, 1, 2).float().div(127.5).sub(1)


def decode_pixels(pictures: Tensor) -> Tensor:
    """Turn floats in -1..1 (n, 3, height, width) into bytes (n, height, width, 3)."""
    return pictures.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def compute_picture_loss(drawn: Tensor, wanted: Tensor) -> Tensor:
    """Sum L1 on pixels, on differences of neighbours and on 8-pixel means."""
    gap = drawn - wanted
    edges = gap.diff(dim=2).abs().mean() + gap.diff(dim=3).abs().mean()
    colours = F.avg_pool2d(gap, 8).abs().mean()
    return gap.abs().mean() + edges + colours


def compute_scale_loss(latents: Tensor) -> Tensor:
    """Measure how far each channel's mean is from 0 and its deviation from 1."""
    deviation, mean = torch.std_mean(latents, dim=(0, 2, 3))
    return (deviation - 1).square().mean() + mean.square().mean()


def draw_crops(pixels: Tensor, recipe: AutoencoderRecipe, dice: torch.Generator, *, whole: bool) -> Tensor:
    """Draw a batch of whole pictures, or about as many pixels in square crops at any place."""
    side = pixels.shape[1]
    crop = side if whole else recipe.crop
    count = max(1, recipe.batch * recipe.crop**2 // crop**2)
    chosen = torch.randint(len(pixels), (count,), generator=dice).tolist()
    corners = torch.randint(side - crop + 1, (count, 2), generator=dice).tolist()
    cut = [pixels[n, y : y + crop, x : x + crop] for n, (y, x) in zip(chosen, corners, strict=True)]
    return encode_pixels(torch.stack(cut))


def fit_autoencoder(
    run: Run[AutoencoderTiny], pixels: Tensor, recipe: AutoencoderRecipe, seed: int, until: float, device: str = "cpu"
) -> None:
    """Train both halves until the recipe's last step or until the clock (time.monotonic) says stop."""

    def loss(step: int, dice: torch.Generator) -> Tensor:
        wanted = draw_crops(pixels, recipe, dice, whole=step >= recipe.whole_from * recipe.steps).to(device)
        latents = run.network.encoder(wanted)
        drawn = run.network.decoder(add_noise(latents, recipe.noise, dice))
        return compute_picture_loss(drawn, wanted) + 0.05 * compute_scale_loss(latents)

    run.go_on(loss, recipe.steps, recipe.rates, seed, until)


def fine_tune_decoder(
    run: Run[nn.Module],
    latents: Tensor,
    pixels: Tensor,
    recipe: AutoencoderRecipe,
    seed: int,
    until: float,
    device: str = "cpu",
) -> None:
    """Train the decoder alone, on latents that no longer change: half the work for each picture."""

    def loss(step: int, dice: torch.Generator) -> Tensor:
        chosen = torch.randint(len(latents), (max(1, recipe.batch // 2),), generator=dice)
        given = add_noise(latents[chosen].to(device), recipe.noise, dice)
        return compute_picture_loss(run.network(given), encode_pixels(pixels[chosen]).to(device))

    run.go_on(loss, recipe.polish, recipe.rates, seed + 1, until)


def add_noise(latents: Tensor, most: float, dice: torch.Generator) -> Tensor:
    """Add noise to latents, of a different strength for each picture, up to the given one."""
    strength = torch.rand((len(latents), 1, 1, 1), generator=dice) * most
    return latents + (torch.randn(latents.shape, generator=dice) * strength).to(latents.device)
