import io

import pytest
from PIL import Image

from common.images.contact_sheet import CELL, Tile, draw_contact_sheet
from common.images.provenance import DIGITAL_SOURCE_TYPE, PNG_XMP_KEYWORD


def picture(size: tuple[int, int], colour: str, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form)
    return file.getvalue()


def opened(sheet: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(sheet))
    image.load()
    return image


def test_a_sheet_is_marked_as_generated():
    sheet = opened(draw_contact_sheet([Tile(picture((64, 64), "red"), "a fox")], "Prints", model="starter-1"))
    packet = sheet.info[PNG_XMP_KEYWORD]
    assert DIGITAL_SOURCE_TYPE in packet
    assert "starter-1" in packet
    assert "a fox" not in packet


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_pictures_of_every_format_and_shape_are_shown_whole(form):
    prints = [Tile(picture((300, 100), "red", form), "wide"), Tile(picture((20, 60), "blue", form), "tall")]
    sheet = opened(draw_contact_sheet(prints, "Prints", model="m")).convert("RGB")
    colours = {sheet.getpixel((x, y)) for x in range(0, sheet.width, 16) for y in range(0, sheet.height, 16)}
    assert any(red > 200 and blue < 80 for red, _, blue in colours)
    assert any(blue > 200 and red < 80 for red, _, blue in colours)


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (5, 5), (6, 5), (3, 2)])
def test_the_sheet_grows_with_its_rows(count, columns):
    prints = [Tile(picture((8, 8), "red"), "x " * 200, "seed 1")] * count
    sheet = opened(draw_contact_sheet(prints, "Prints", model="m", columns=columns))
    assert sheet.height // CELL == -(-count // columns)
    assert sheet.width // CELL == min(columns, count)


def test_a_missing_image_is_replaced_by_the_reason():
    blank, told = (draw_contact_sheet([Tile(None, "ann", "", why)], "Prints", model="m") for why in ("", "blocked"))
    assert opened(blank).tobytes() != opened(told).tobytes()
