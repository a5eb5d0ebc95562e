"""The judge of the starter model is right about pictures whose content is known."""

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from worker.starter import evaluation, pictures
from worker.starter.pictures import Range
from worker.starter.subjects import Vocabulary

SHAPES = Vocabulary(
    {"disc": (), "bar": (), "wedge": ()},
    {"white": (255, 255, 255), "black": (24, 24, 24), "teal": (40, 165, 165)},
)


def sprites():
    disc, bar, wedge = (Image.new("RGBA", (60, 60), (0, 0, 0, 0)) for _ in range(3))
    ImageDraw.Draw(disc).ellipse((0, 0, 59, 59), fill=(220, 40, 40, 255))
    ImageDraw.Draw(bar).rectangle((0, 20, 59, 39), fill=(220, 40, 40, 255))
    ImageDraw.Draw(wedge).polygon([(0, 0), (59, 30), (0, 59)], fill=(60, 60, 200, 255))
    return {"disc": disc, "bar": bar, "wedge": wedge}


@pytest.fixture(scope="module")
def templates():
    return evaluation.build_templates(sprites())


def test_true_composites_are_all_judged_right(templates):
    dice = random.Random(2)
    verdicts = []
    for name, sprite in sprites().items():
        for colour, value in SHAPES.backgrounds.items():
            drawn = pictures.compose_picture([(sprite, pictures.draw_placement(dice, Range()))], value, 128)
            verdicts.append(evaluation.evaluate_picture(drawn, (name, colour), SHAPES, templates))
    assert evaluation.compute_shares(verdicts) == (1.0, 1.0)


def test_the_background_is_not_held_against_the_subject(templates):
    dice = random.Random(3)
    drawn = pictures.compose_picture(
        [(sprites()["wedge"], pictures.draw_placement(dice, Range()))], (240, 200, 90), 128
    )
    verdict = evaluation.evaluate_picture(drawn, ("wedge", "teal"), SHAPES, templates)
    assert (verdict.subject, verdict.background) == ("wedge", "white")
    assert evaluation.compute_shares([verdict]) == (0.0, 1.0)


def test_the_corner_colour_survives_one_spoiled_corner():
    picture = np.full((32, 32, 3), 90, np.uint8)
    picture[:8, :8] = 255
    assert evaluation.measure_corner_colour(picture) == (90, 90, 90)
