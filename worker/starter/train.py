"""Train the starter model in resumable runs, until the finished folder is written.

python -m worker.starter.train --recipe cpu --minutes 9
"""

import argparse
import os
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

for name, value in {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}.items():
    os.environ.setdefault(
        name, value
    )  # spinning threads on a shared machine cost five times as much; read when torch loads

import diffusers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from diffusers import AutoencoderTiny  # noqa: E402
from transformers import CLIPTokenizer  # noqa: E402

from worker.starter import autoencoder, captions, dataset, denoiser, emoji, export, plots, subjects, tokens  # noqa: E402
from worker.starter.recipe import RECIPES, Recipe  # noqa: E402
from worker.starter.training import Run  # noqa: E402

HERE = Path(__file__).parent


def open_vocabulary(recipe: Recipe, work: Path) -> subjects.Vocabulary:
    """Return the 96 subjects, and every other named emoji if the recipe says so."""
    vocabulary = subjects.read_vocabulary()
    if not recipe.all_emoji:
        return vocabulary
    keywords = {found.name: found.keywords for found in emoji.read_emoji(work / "npm").values()}
    return subjects.add_subjects(vocabulary, keywords)


def open_dataset(recipe: Recipe, vocabulary: subjects.Vocabulary, work: Path) -> dataset.Dataset:
    """Read the composed training set, or compose it now."""
    path = work / "pictures.npy"
    if not path.exists():
        sprites = dataset.read_sprites(work / "npm", list(vocabulary.subjects))
        dataset.save_dataset(dataset.compose_dataset(vocabulary, sprites, recipe), path)
    return dataset.load_dataset(path, vocabulary, recipe)


def open_tokenizer(recipe: Recipe, vocabulary: subjects.Vocabulary, work: Path) -> CLIPTokenizer:
    """Read the tokenizer, or learn it now from captions of the training scenes."""
    folder = work / "tokenizer"
    if not (folder / "merges.txt").exists():
        dice = random.Random(recipe.seed)
        scenes = dataset.draw_scenes(vocabulary, recipe, random.Random(recipe.seed))
        tokens.write_tokenizer(
            folder, [captions.write_caption(scene, vocabulary, dice) for scene in scenes for _ in range(2)]
        )
    return tokens.load_tokenizer(folder, recipe.denoiser.tokens)


def train_autoencoder(
    recipe: Recipe, pixels: torch.Tensor, work: Path, until: float, device: str
) -> Run[AutoencoderTiny]:
    """Train the autoencoder, resuming it if it was started and returning it if it is finished."""
    network = autoencoder.build_autoencoder(recipe.autoencoder).to(device)
    run = Run(network, work / "autoencoder.pt", autoencoder.list_outermost_layers(network))
    autoencoder.fit_autoencoder(run, pixels, recipe.autoencoder, recipe.seed, until, device)
    return run


def open_latents(trained: AutoencoderTiny, pixels: torch.Tensor, work: Path, device: str) -> torch.Tensor:
    """Return all pictures' latents at deviation 1, and store the scaling factor in the autoencoder."""
    path = work / "latents.pt"
    if not path.exists():
        torch.save(denoiser.encode_latents(trained, pixels, device), path)
    latents: torch.Tensor = torch.load(path, weights_only=True)
    trained.register_to_config(scaling_factor=1 / latents.std().item())
    return latents * trained.config.scaling_factor


def train_pipeline(recipe: Recipe, work: Path, output: Path, until: float, device: str) -> bool:
    """Train for as long as the time allows; return whether all training is done."""
    emoji.fetch_packages(work / "npm")
    vocabulary = open_vocabulary(recipe, work)
    data = open_dataset(recipe, vocabulary, work)
    pixels = torch.from_numpy(data.pixels)
    torch.manual_seed(recipe.seed)
    first = train_autoencoder(recipe, pixels, work, until, device)
    if first.step < recipe.autoencoder.steps:
        return False
    trained = first.average.network
    latents = open_latents(trained, pixels, work, device)
    tokenizer = open_tokenizer(recipe, vocabulary, work)
    torch.manual_seed(recipe.seed)
    network = denoiser.Denoiser(recipe.denoiser, tokenizer, *latents.shape[1:3]).to(device)
    second = Run(network, work / "denoiser.pt", denoiser.OUTERMOST, decay=0.999)
    denoiser.fit_denoiser(
        second, latents, data.scenes, vocabulary, tokenizer, recipe.denoiser, recipe.seed, until, device
    )
    third = Run(trained.decoder.requires_grad_(), work / "decoder.pt", autoencoder.list_outermost_layers(trained)[1:])
    if second.step >= recipe.denoiser.steps:  # last, because it is optional: without it images are only softer
        autoencoder.fine_tune_decoder(
            third, latents / trained.config.scaling_factor, pixels, recipe.autoencoder, recipe.seed, until, device
        )
    trained.decoder.load_state_dict(third.average.network.state_dict())
    pipeline = export.assemble_pipeline(second.average.network, trained, tokenizer)
    export.write_pipeline(pipeline, work / "tokenizer", output, recipe)
    curves = [plots.draw_curve(run.losses, f"{run.path.stem}: loss") for run in (first, second, third) if run.losses]
    if curves:
        plots.stack_sheets(curves).quantize(16).save(output / "loss.png", optimize=True)
    print(
        f"wrote {output}: {export.count_weight_bytes(output) / 1e6:.1f} MB of weights after {second.step} steps",
        flush=True,
    )
    return third.step >= recipe.autoencoder.polish


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; exit with status 3 while training is not finished."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, default="cpu")
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="stop after this many minutes")
    parser.add_argument("--work", type=Path, help="checkpoints and data (default: var/starter/<recipe>)")
    parser.add_argument("--output", type=Path, default=HERE / "starter-1", help="output folder for the model")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="run a few steps of everything, as a smoke test")
    options = parser.parse_args(arguments)
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    recipe = RECIPES[options.recipe]
    if options.tiny:
        small = replace(recipe.denoiser, steps=4, batch=4)
        recipe = replace(
            recipe, variants=1, autoencoder=replace(recipe.autoencoder, steps=4, polish=2, batch=2), denoiser=small
        )
    work = options.work or Path("var/starter") / recipe.name
    work.mkdir(parents=True, exist_ok=True)
    finished = train_pipeline(recipe, work, options.output, time.monotonic() + 60 * options.minutes, options.device)
    return 0 if finished else 3


if __name__ == "__main__":
    raise SystemExit(main())
