"""Draw the loss curve with Pillow alone, so that training does not need a plotting library."""

import math

from PIL import Image, ImageDraw

WIDTH, HEIGHT, MARGIN = 640, 300, 46
INK, GRID, CURVE = (60, 60, 60), (225, 225, 225), (60, 120, 220)


def smooth_values(values: list[float], weight: float = 0.8) -> list[float]:
    """Return the running mean of the values."""
    smoothed: list[float] = []
    for value in values:
        smoothed.append(weight * smoothed[-1] + (1 - weight) * value if smoothed else value)
    return smoothed


def draw_curve(losses: list[tuple[int, float]], title: str) -> Image.Image:
    """Draw loss against step, the loss on a logarithmic scale with a line at each 1, 2 and 5."""
    steps = [step for step, _ in losses]
    curve = smooth_values([loss for _, loss in losses])
    low, high = math.log10(min(curve)) - 0.05, math.log10(max(curve)) + 0.05
    sheet = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(sheet)

    def place(step: int, loss: float) -> tuple[float, float]:
        across = MARGIN + (WIDTH - 2 * MARGIN) * (step - steps[0]) / max(1, steps[-1] - steps[0])
        return across, MARGIN + (HEIGHT - 2 * MARGIN) * (high - math.log10(loss)) / (high - low)

    for mark in (base * 10.0**power for power in range(-4, 2) for base in (1, 2, 5)):
        if low < math.log10(mark) < high:
            y = place(steps[0], mark)[1]
            pen.line([(MARGIN, y), (WIDTH - MARGIN, y)], fill=GRID)
            pen.text((6, y - 6), f"{mark:g}", fill=INK)
    pen.line([place(step, loss) for step, loss in zip(steps, curve, strict=True)], fill=CURVE, width=2)
    pen.text((MARGIN, 14), title, fill=INK)
    pen.text((MARGIN, HEIGHT - 30), f"step {steps[0]}", fill=INK)
    pen.text((WIDTH - MARGIN - 70, HEIGHT - 30), f"step {steps[-1]}", fill=INK)
    return sheet


def stack_sheets(sheets: list[Image.Image]) -> Image.Image:
    """Stack sheets of one width vertically."""
    whole = Image.new("RGB", (WIDTH, HEIGHT * len(sheets)), "white")
    for place, sheet in enumerate(sheets):
        whole.paste(sheet, (0, HEIGHT * place))
    return whole
