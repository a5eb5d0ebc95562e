"""Images for the safety checkers' self-test, and the conversion applied to every image before a check."""

from pathlib import Path

from PIL import Image

DONKEY = Path(__file__).parent / "donkey.webp"
"""A harmless image that open_nsfw scores as nudity (0.96), so that blocking can be tested without explicit content."""


def draw_gradient() -> Image.Image:
    """Return a horizontal gradient from yellow to blue, which every checker must pass."""
    down = Image.linear_gradient("L")
    return Image.merge("RGB", (down, down, down.rotate(90)))


def flatten_alpha(picture: Image.Image) -> Image.Image:
    """Composite *picture* on white; dropping its alpha instead would give the checker colours that no viewer sees."""
    if picture.mode == "RGB":
        return picture
    layered = picture.convert("RGBA")
    ground = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(ground, layered).convert("RGB")
