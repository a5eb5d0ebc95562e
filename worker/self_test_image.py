"""The pictures that checkers prove themselves on, and how a picture is laid before them."""

from pathlib import Path

from PIL import Image

DONKEY = Path(__file__).parent / "donkey.webp"
"""A harmless picture that open_nsfw takes for nudity (0.96): it proves the refusal without anything explicit."""


def draw_gradient() -> Image.Image:
    """Return a gradient from yellow to blue, across: every checker must let it pass."""
    down = Image.linear_gradient("L")
    return Image.merge("RGB", (down, down, down.rotate(90)))


def flatten(picture: Image.Image) -> Image.Image:
    """Put *picture* on white: dropping its alpha instead would show the checker colours that nobody sees."""
    if picture.mode == "RGB":
        return picture
    layered = picture.convert("RGBA")
    ground = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(ground, layered).convert("RGB")
