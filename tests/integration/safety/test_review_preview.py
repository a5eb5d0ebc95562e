"""What a reviewer's preview gives away: not which of the starter model's 96 subjects a blocked picture shows.

The pictures are the model's own, one of each subject, and the attacker has every one of them: laid on the background
of the picture that was blocked, of which the attacker so knows all but the subject.
"""

import functools
import io
from collections.abc import Iterator
from uuid import UUID

import numpy as np
import pytest
from PIL import Image

from common.safety.blur import blur_picture, reduce_to_colour
from worker.pictures.encode import encode_preview, encode_thumbnail
from worker.pictures.mark import Mark
from worker.starter.subjects import HERE, Colour, read_vocabulary

VOCABULARY = read_vocabulary()
COLUMNS, STEP, SIDE = 12, 65, 64  # of the sheet of samples, at half the size of the pictures
COMPARED = 32
MOST_RIGHT = 0.05
MARK = Mark(job_id=UUID(int=0), model="starter-1")


@functools.cache
def read_samples() -> list[Image.Image]:
    """Return the model's pictures of the held-out pairs, in their order."""
    sheet = Image.open(HERE / "starter-1" / "samples.png").convert("RGB")
    corners = [(place % COLUMNS * STEP, place // COLUMNS * STEP) for place in range(len(VOCABULARY.held_out))]
    return [sheet.crop((left, top, left + SIDE, top + SIDE)) for left, top in corners]


@functools.cache
def lay_on(background: str) -> list[Image.Image]:
    """Return the picture of each subject with its background changed to another."""
    new = VOCABULARY.backgrounds[background]
    return [
        change_background(picture, VOCABULARY.backgrounds[old], new)
        for picture, (_, old) in zip(read_samples(), VOCABULARY.held_out, strict=True)
    ]


def change_background(picture: Image.Image, old: Colour, new: Colour) -> Image.Image:
    pixels = np.asarray(picture, np.float32)
    cover = np.clip((np.abs(pixels - old).max(axis=2, keepdims=True) - 8) / 40, 0, 1)
    return Image.fromarray((pixels + (1 - cover) * np.subtract(new, old)).clip(0, 255).round().astype(np.uint8))


def flatten(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.resize((COMPARED, COMPARED), Image.Resampling.BOX), np.float32).ravel()


def guess(seen: np.ndarray, references: np.ndarray, right: int) -> float:
    """Return the chance with which the attacker names the right subject: one of those whose reference is nearest."""
    distances = ((references - seen) ** 2).mean(axis=1)
    nearest = np.flatnonzero(distances <= distances.min() + 1)  # compression moves a colour by less than a level
    return float(right in nearest) / len(nearest)


def list_attacks(size: int) -> Iterator[tuple[float, float]]:
    """Yield, for each subject's preview, the chances of an attacker without and with the service's own reduction."""
    for right, (picture, (_, background)) in enumerate(zip(read_samples(), VOCABULARY.held_out, strict=True)):
        file = encode_preview(encode_thumbnail(picture.resize((size, size), Image.Resampling.BICUBIC), MARK))
        with Image.open(io.BytesIO(file)) as opened:
            seen = flatten(opened.convert("RGB"))
        yield guess(seen, flatten_all(background), right), guess(seen, reduce_all(background), right)


@functools.cache
def flatten_all(background: str) -> np.ndarray:
    return np.stack([flatten(picture) for picture in lay_on(background)])


@functools.cache
def reduce_all(background: str) -> np.ndarray:
    return np.stack([flatten(reduce_to_colour(picture)) for picture in lay_on(background)])


@pytest.mark.parametrize("size", [128, 512, 1024])
def test_a_preview_does_not_tell_which_of_the_96_subjects_it_shows(size: int) -> None:
    plain, reduced = np.mean(list(list_attacks(size)), axis=0)
    print(f"{size} px: right {plain:.1%} unblurred, {reduced:.1%} through the same reduction")
    assert max(plain, reduced) <= MOST_RIGHT


def test_the_attacker_succeeds_with_a_picture_that_is_only_blurred() -> None:
    """Else the test above would show nothing."""
    chances = []
    for right, (picture, (_, background)) in enumerate(zip(read_samples(), VOCABULARY.held_out, strict=True)):
        references = np.stack([flatten(blur_picture(each)) for each in lay_on(background)])
        chances.append(guess(flatten(blur_picture(picture)), references, right))
    assert np.mean(chances) > 0.9
