"""How the benchmarks' plots look: bars for contestants, lines over load; drawn into files, never on a screen."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # before pyplot is imported

from matplotlib import pyplot as plt

INK = "#333333"
OURS = "#0b6e4f"
OTHERS = ("#8a8d91", "#c08552", "#5c7ea8", "#b5b8bc", "#a14a4a")


@contextmanager
def sheet(path: Path, panels: int, title: str) -> Iterator[list[Any]]:
    """Yield so many panels beside each other, and write them to *path* when the block ends."""
    figure, axes = plt.subplots(1, panels, figsize=(4.6 * panels, 3.6), squeeze=False, layout="constrained")
    figure.suptitle(title, fontsize=11, color=INK)
    try:
        yield list(axes[0])
        figure.savefig(path, dpi=110)
    finally:
        plt.close(figure)


def draw_bars(panel: Any, values: Mapping[str, float], unit: str, ours: str, *, line: float | None = None) -> None:
    """Draw one bar for each contestant, ours in its own colour, and a line where the bar is to be beaten."""
    names = list(values)
    colours = [OURS if name.startswith(ours) else OTHERS[0] for name in names]
    bars = panel.barh(names, list(values.values()), color=colours)
    panel.bar_label(bars, fmt="%.3g", padding=3, fontsize=8, color=INK)
    panel.invert_yaxis()
    panel.margins(x=0.15)
    if line is not None:
        panel.axvline(line, color=INK, linewidth=0.8, linestyle="--")
    _finish(panel, unit, "")


def draw_lines(
    panel: Any,
    places: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    unit: str,
    over: str,
    ours: str,
    *,
    most: float | None = None,
) -> None:
    """Draw one line for each contestant over *places*; what is more than *most* leaves the picture."""
    others = iter(OTHERS * len(lines))
    for name, values in lines.items():
        colour = OURS if name.startswith(ours) else next(others)
        panel.plot(places[: len(values)], values, marker="o", markersize=4, label=name, color=colour)
    panel.set_ylim(bottom=0, top=most)
    panel.legend(fontsize=8, frameon=False)
    _finish(panel, over, unit)


def draw_stacks(panel: Any, names: Sequence[str], parts: Mapping[str, Sequence[float]], unit: str) -> None:
    """Draw one bar for each name, made of parts."""
    ends = [0.0] * len(names)
    colours = iter((OURS, *OTHERS, INK))
    for part, values in parts.items():
        panel.barh(names, values, left=ends, label=part, color=next(colours))
        ends = [end + value for end, value in zip(ends, values, strict=True)]
    panel.invert_yaxis()
    panel.legend(fontsize=8, frameon=False)
    _finish(panel, unit, "")


def _finish(panel: Any, across: str, up: str) -> None:
    panel.set_xlabel(across, fontsize=9, color=INK)
    panel.set_ylabel(up, fontsize=9, color=INK)
    panel.tick_params(labelsize=8, colors=INK)
    panel.spines[["top", "right"]].set_visible(False)
