"""The training set: many images of each subject on many backgrounds, composed once and stored as bytes."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from worker.starter import emoji, pictures
from worker.starter.recipe import Recipe
from worker.starter.subjects import Vocabulary

Scene = tuple[tuple[str, ...], str]  # the subjects from left to right, and the background


@dataclass(frozen=True)
class Dataset:
    """Pictures (n, side, side, 3) as bytes, and the scene of each."""

    pixels: np.ndarray[tuple[int, int, int, int], np.dtype[np.uint8]]
    scenes: list[Scene]


def read_sprites(folder: Path, names: list[str]) -> dict[str, Image.Image]:
    """Read the subjects' sprites by name."""
    found = emoji.read_emoji(folder)
    return {name: emoji.read_sprite(found[name].path) for name in names}


def draw_scenes(vocabulary: Vocabulary, recipe: Recipe, dice: random.Random) -> list[Scene]:
    """Show every subject equally often, on backgrounds not held out for it; some with a second subject."""
    held_out = set(vocabulary.held_out)
    names = list(vocabulary.subjects)
    scenes: list[Scene] = []
    for name in names:
        allowed = [colour for colour in vocabulary.backgrounds if (name, colour) not in held_out]
        for variant in range(recipe.variants):
            background = allowed[variant % len(allowed)]
            others = [other for other in names if other != name and (other, background) not in held_out]
            second = (dice.choice(others),) if dice.random() < recipe.pairs_of_subjects else ()
            scenes.append(((name, *second), background))
    return scenes


def compose_dataset(vocabulary: Vocabulary, sprites: dict[str, Image.Image], recipe: Recipe) -> Dataset:
    """Compose the whole training set from the recipe's seed."""
    dice = random.Random(recipe.seed)
    scenes = draw_scenes(vocabulary, recipe, dice)
    composed = []
    for names, background in scenes:
        if len(names) == 1:
            placed = [pictures.draw_placement(dice, recipe.spread)]
        else:
            half = pictures.Range(0.42, 0.48, recipe.spread.offset)
            placed = [pictures.draw_placement(dice, half, (x, 0.5)) for x in (0.26, 0.74)]
        layers = [(sprites[name], place) for name, place in zip(names, placed, strict=True)]
        composed.append(pictures.compose_picture(layers, vocabulary.backgrounds[background], recipe.side))
    return Dataset(np.stack(composed), scenes)


def save_dataset(data: Dataset, path: Path) -> None:
    """Save the pictures; their scenes follow from the recipe's seed."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, data.pixels)
    partial.rename(path)


def load_dataset(path: Path, vocabulary: Vocabulary, recipe: Recipe) -> Dataset:
    """Load the saved pictures, and derive their scenes from the seed."""
    return Dataset(np.load(path), draw_scenes(vocabulary, recipe, random.Random(recipe.seed)))
