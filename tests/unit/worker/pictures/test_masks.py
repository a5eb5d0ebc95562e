"""What a mask covers, and that the rest stays as it was."""

import pytest
from PIL import Image, ImageChops, ImageColor, ImageDraw

from common.errors import InvalidMaskError
from worker.engine.interface import Inputs, Picture
from worker.pictures.masks import read_mask, restore_pictures

SIZE = (64, 48)
BOX = (20, 10, 40, 30)


def draw_mask(mode: str, ground: tuple[int, ...] | int, stroke: tuple[int, ...] | int) -> Image.Image:
    mask = Image.new(mode, SIZE, ground)
    ImageDraw.Draw(mask).rectangle(BOX, fill=stroke)
    return mask


def restore(init: Image.Image, mask: Image.Image) -> Image.Image:
    generated = Picture(Image.effect_noise(SIZE, 80).convert("RGB"), 1, 0.5)
    (restored,) = restore_pictures([generated], Inputs(init, mask))
    assert (restored.seed, restored.gpu_seconds) == (1, 0.5)
    return restored.pixels


@pytest.mark.parametrize(
    "asset",
    [
        draw_mask("RGB", (0, 0, 0), (255, 255, 255)),
        # As uploads are stored: laid on white, with their transparency.
        draw_mask("RGBA", (255, 255, 255, 0), (255, 255, 255, 255)),
    ],
    ids=["opaque", "white on transparent"],
)
def test_white_strokes_are_repainted_on_black_and_on_transparent_ground(asset: Image.Image) -> None:
    mask = read_mask(asset)
    assert (mask.mode, mask.getpixel((30, 20)), mask.getpixel((2, 2))) == ("L", 255, 0)
    assert mask.tobytes() == draw_mask("L", 0, 255).tobytes()


def test_a_half_transparent_stroke_is_repainted_by_half() -> None:
    mask = read_mask(draw_mask("RGBA", (255, 255, 255, 0), (255, 255, 255, 128)))
    assert (mask.getpixel((30, 20)), mask.getpixel((2, 2))) == (128, 0)


@pytest.mark.parametrize("colour", ["white", "black", "red", "blue", "grey"])
def test_strokes_on_a_transparent_layer_are_repainted_whatever_their_colour(colour: str) -> None:
    mask = read_mask(draw_mask("RGBA", (255, 255, 255, 0), ImageColor.getcolor(colour, "RGBA")))
    assert mask.tobytes() == draw_mask("L", 0, 255).tobytes()


def test_black_and_white_on_a_transparent_layer_are_read_by_their_brightness() -> None:
    asset = draw_mask("RGBA", (255, 255, 255, 0), (0, 0, 0, 255))
    ImageDraw.Draw(asset).rectangle((22, 12, 30, 20), fill=(255, 255, 255, 255))
    mask = read_mask(asset)
    assert [mask.getpixel(at) for at in ((25, 15), (35, 25), (2, 2))] == [255, 0, 0]


def test_transparency_that_hides_nothing_is_not_looked_at() -> None:
    assert read_mask(draw_mask("RGBA", (0, 0, 0, 255), (255, 255, 255, 255))).getpixel((2, 2)) == 0


@pytest.mark.parametrize(
    ("asset", "words"),
    [
        (Image.new("RGB", SIZE, "black"), "nothing would be repainted"),
        (draw_mask("RGB", (0, 0, 0), (255, 0, 0)), "nothing would be repainted"),
        (Image.new("RGBA", SIZE, (255, 255, 255, 0)), "nothing would be repainted"),
        (Image.new("RGB", SIZE, "white"), "leave out mask_image"),
        (Image.new("RGBA", SIZE, (255, 255, 255, 255)), "leave out mask_image"),
    ],
)
def test_a_mask_that_covers_nothing_or_everything_is_refused(asset: Image.Image, words: str) -> None:
    with pytest.raises(InvalidMaskError, match=words):
        read_mask(asset)


def test_pixels_that_the_mask_leaves_out_are_those_of_the_init_image() -> None:
    init = Image.linear_gradient("L").resize(SIZE).convert("RGB")
    mask = draw_mask("L", 0, 255)
    changed = ImageChops.difference(restore(init, mask), init).getbbox()
    assert changed is not None
    left, top, right, bottom = changed
    assert left >= BOX[0]
    assert top >= BOX[1]
    assert right <= BOX[2] + 1
    assert bottom <= BOX[3] + 1


def test_a_black_mask_changes_nothing_and_a_white_one_everything() -> None:
    init = Image.new("RGB", SIZE, "navy")
    assert restore(init, Image.new("L", SIZE, 0)).tobytes() == init.tobytes()
    assert ImageChops.difference(restore(init, Image.new("L", SIZE, 255)), init).getbbox() == (0, 0, *SIZE)


def test_a_grey_edge_of_the_mask_mixes_the_two() -> None:
    generated = Picture(Image.new("RGB", SIZE, (200, 200, 200)), 1, 0.0)
    (mixed,) = restore_pictures([generated], Inputs(Image.new("RGB", SIZE, (0, 0, 0)), Image.new("L", SIZE, 128)))
    assert mixed.pixels.getpixel((5, 5)) == (100, 100, 100)


def test_images_without_a_mask_are_left_alone() -> None:
    generated = Picture(Image.new("RGB", SIZE), 1, 0.0)
    assert restore_pictures([generated], Inputs(Image.new("RGB", SIZE))) == [generated]
