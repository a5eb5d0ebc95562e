import pytest
from PIL import Image, ImageDraw

from worker.pictures import palette as picture_palette


def halves(left: str, right: str, size: tuple[int, int] = (256, 256)) -> Image.Image:
    picture = Image.new("RGB", size, left)
    ImageDraw.Draw(picture).rectangle((size[0] // 2, 0, *size), fill=right)
    return picture


def near(found: str, wanted: str) -> bool:
    pairs = zip(bytes.fromhex(found[1:]), bytes.fromhex(wanted[1:]), strict=True)
    return all(abs(one - other) <= 6 for one, other in pairs)


@pytest.mark.parametrize("size", [(256, 256), (1024, 512), (16, 16), (1, 1)])
def test_a_picture_of_one_colour_has_one(size):
    (swatch,) = [swatch.as_json() for swatch in picture_palette.find_colours(Image.new("RGB", size, "#d04020"))]
    assert near(swatch["colour"], "#d04020")
    assert swatch["share"] == 1


def test_shares_are_those_of_the_picture_and_the_largest_is_first():
    picture = halves("#102080", "#f0d040", (400, 100))
    ImageDraw.Draw(picture).rectangle((100, 0, 400, 100), fill="#f0d040")
    first, second = [swatch.as_json() for swatch in picture_palette.find_colours(picture)][:2]
    assert near(first["colour"], "#f0d040")
    assert near(second["colour"], "#102080")
    assert first["share"] == pytest.approx(0.75, abs=0.03)
    assert second["share"] == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("palette", "low", "high"),
    [
        (["#102080", "#f0d040"], 0.97, 1.0),
        (["#102080"], 0.45, 0.55),  # half of it keeps to it
        (["#112284", "#eed244"], 0.97, 1.0),  # nobody sees the difference
        (["#00ff00"], 0.0, 0.05),
        (["#00ff00", "#ffffff", "#102080", "#ff00ff"], 0.45, 0.55),  # colours that are not used do no harm
    ],
)
def test_the_score_says_how_much_of_the_picture_keeps_to_the_palette(palette, low, high):
    assert (
        low
        <= picture_palette.score_palette(picture_palette.find_colours(halves("#102080", "#f0d040")), palette)
        <= high
    )


def test_a_difference_that_is_larger_counts_more():
    picture = picture_palette.find_colours(Image.new("RGB", (64, 64), "#d04020"))
    scores = [
        picture_palette.score_palette(picture, [colour]) for colour in ("#d04020", "#d85030", "#e07050", "#f0b090")
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.95
    assert scores[-1] < 0.2


def test_noise_has_few_colours_and_they_add_up():
    found = picture_palette.find_colours(Image.effect_noise((128, 128), 90).convert("RGB"))
    assert 2 <= len(found) <= picture_palette.MOST_COLOURS
    assert sum(swatch.share for swatch in found) == pytest.approx(1)
