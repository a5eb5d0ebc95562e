"""The two training recipes as data: contents, network sizes and training duration."""

from dataclasses import dataclass, field

from worker.starter.pictures import Range


@dataclass(frozen=True)
class AutoencoderRecipe:
    """An `AutoencoderTiny`: one width on all levels, each halving the side, so five make 16-pixel cells."""

    width: int = 64
    encoder_blocks: tuple[int, ...] = (0, 0, 1, 1, 1)
    decoder_blocks: tuple[int, ...] = (3, 3, 2, 1, 0)
    channels: int = 16
    crop: int = 64
    batch: int = 8
    steps: int = 3100
    whole_from: float = 0.75  # from then on it sees whole pictures, so that cells learn their surroundings
    rates: tuple[float, float] = (4e-3, 1e-3)  # of Muon and of AdamW
    polish: int = 600  # further steps of the decoder alone, on cached latents and whole pictures
    noise: float = 0.25  # on latents of deviation 1, so that the decoder forgives what the denoiser gets slightly wrong


@dataclass(frozen=True)
class DenoiserRecipe:
    """A `UNet2DConditionModel` and a CLIP text encoder, trained together from nothing."""

    widths: tuple[int, ...] = (64, 144)
    layers: int = 1
    head_width: int = 16
    text_width: int = 128
    text_layers: int = 2
    tokens: int = 40
    batch: int = 64
    steps: int = 1750
    rates: tuple[float, float] = (1e-2, 1e-3)
    min_snr: float = 5.0
    drop_caption: float = 0.1


@dataclass(frozen=True)
class Recipe:
    """Everything that one training run depends on, the seed included."""

    name: str
    side: int = 128
    seed: int = 1
    all_emoji: bool = False
    pairs_of_subjects: float = 0.0
    spread: Range = field(default_factory=Range)
    variants: int = 48  # composed pictures for each subject
    autoencoder: AutoencoderRecipe = field(default_factory=AutoencoderRecipe)
    denoiser: DenoiserRecipe = field(default_factory=DenoiserRecipe)


CPU = Recipe("cpu")
"""About two hours on two quiet cores: 96 subjects, one in a picture."""

GPU = Recipe(
    "gpu",
    all_emoji=True,
    pairs_of_subjects=0.25,
    variants=28,
    autoencoder=AutoencoderRecipe(batch=128, steps=8000, polish=4000),
    denoiser=DenoiserRecipe(batch=512, steps=24_000),
)
"""For one large GPU: every named emoji, and two subjects in a quarter of the pictures. Networks of the same size."""

RECIPES = {recipe.name: recipe for recipe in (CPU, GPU)}
