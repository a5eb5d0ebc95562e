"""Training pictures are composed as they are described."""

import random

import numpy as np
from PIL import Image

from worker.starter import pictures
from worker.starter.pictures import Placement, Range

RED, TEAL = (255, 0, 0), (40, 165, 165)


def half_and_half():
    """A 40 x 20 sprite, red on its left half and black on its right."""
    sprite = Image.new("RGBA", (40, 20), (0, 0, 0, 255))
    sprite.paste((*RED, 255), (0, 0, 20, 20))
    return sprite


def box(pixels, background):
    different = (pixels != np.array(background, np.uint8)).any(axis=2)
    rows, columns = np.flatnonzero(different.any(axis=1)), np.flatnonzero(different.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def test_the_subject_is_where_and_as_large_as_it_was_placed():
    drawn = pictures.compose_picture([(half_and_half(), Placement(0.5, 0.5, 0.25))], TEAL, 128)
    assert drawn.shape == (128, 128, 3)
    assert box(drawn, TEAL) == (32, 16, 96, 48)


def test_a_flipped_subject_faces_the_other_way():
    for flipped, left in ((False, RED), (True, (0, 0, 0))):
        drawn = pictures.compose_picture([(half_and_half(), Placement(0.5, flipped=flipped))], TEAL, 128)
        assert tuple(drawn[64, 40]) == left


def test_no_random_placement_leaves_the_picture():
    dice = random.Random(4)
    for _ in range(200):
        placed = pictures.draw_placement(dice, Range(0.7, 0.95, 0.2))
        drawn = pictures.compose_picture([(half_and_half(), placed)], TEAL, 64)
        left, top, right, bottom = box(drawn, TEAL)
        assert abs((right - left) - placed.size * 64) <= 1
        assert abs((bottom - top) - placed.size * 32) <= 1


def test_a_contact_sheet_shows_the_pictures_row_by_row():
    tiles = [np.full((8, 8, 3), shade, np.uint8) for shade in (10, 20, 30)]
    sheet = np.asarray(pictures.build_contact_sheet(tiles, columns=2, gap=2))
    assert sheet.shape == (18, 18, 3)
    assert (int(sheet[4, 4, 0]), int(sheet[4, 14, 0]), int(sheet[14, 4, 0])) == (10, 20, 30)
