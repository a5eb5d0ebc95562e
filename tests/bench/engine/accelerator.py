"""The engine on a GPU: its loop ÷ a bare loop over the stock pipeline, at each batch, eager and compiled.

The architectures stand in their real sizes with random weights, made on the device: nothing is downloaded. The two
loops take turns; figures are medians of the rounds. A batch that the time is too short for is left out, and said to be.
With ``--service`` the whole of Pressroom runs on top, its model saved to a temporary directory. Without a GPU,
``--tiny`` tries the script itself.

Usage:
``python -m tests.bench.engine.accelerator sd15|sdxl|sdxl-lightning|flux [--variants eager,compiled] [--service]``
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch

from common.models.catalog import ModelCard
from common.settings import PREFIX
from tests.bench import plots
from tests.bench.engine.architectures import ARCHITECTURES, make
from tests.bench.engine.gpu_loops import BareLoop, EngineLoop
from tests.bench.outcome import FOLDER, Outcome, Table
from tests.bench.service import service
from worker.engine.torch_backend import optimizations
from worker.torch_device import Device

VARIANTS: dict[str, tuple[str, ...]] = {
    "eager": (),
    "channels_last": ("channels_last",),
    "compiled": ("channels_last", "compile"),
    "fused": ("channels_last", "fuse_qkv", "compile"),
    "int8": ("channels_last", "int8", "compile"),
    "fp8": ("channels_last", "fp8", "compile"),
}
"""What is done for speed, in the words of ``PRESSROOM_SPEED``."""

WARM_UP_STEPS = 2
ROUND_SECONDS = 4.0
MOST_BATCHES = 8
"""A round lasts at least so long, or so many batches: the less often it is begun and ended, the less that counts."""

SERVICE_IMAGES = 64
Row = dict[str, float]


class Stopwatch:
    """Tells whether there is time for one more batch, which is reckoned to take twice as long as the last."""

    def __init__(self, seconds: float) -> None:
        self._began = self._lap_began = time.monotonic()
        self._seconds = seconds
        self._longest = 0.0

    def has_time(self) -> bool:
        """Tell whether another batch can be ended in time; the time of the next counts from here."""
        now = time.monotonic()
        self._longest = max(self._longest, now - self._lap_began)
        self._lap_began = now
        return now - self._began + 2 * self._longest < self._seconds


def main(words: list[str] | None = None) -> None:
    """Measure one architecture, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture", choices=ARCHITECTURES)
    parser.add_argument("--variants", default="eager,compiled", help=f"of {', '.join(VARIANTS)}")
    parser.add_argument("--batches", help="by default what one command has the time for")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=480, help="begin nothing that would end later")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", help="bf16, fp16 or fp32")
    parser.add_argument("--tiny", action="store_true", help="the same shapes in a thousandth of the size")
    parser.add_argument("--service", action="store_true", help="run all of Pressroom on the last variant")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    diffusers.utils.logging.set_verbosity_error()
    architecture, device = ARCHITECTURES[given.architecture], Device(given.device, given.precision)
    card = architecture.card(given.architecture, is_tiny=given.tiny)
    batches = [int(rows) for rows in given.batches.split(",")] if given.batches else list(architecture.batches)
    watch = Stopwatch(given.seconds)
    found: dict[str, dict[int, Row]] = {}
    whole: Row = {}
    names = given.variants.split(",")
    for name in names:
        pipeline = optimizations.apply_speedups(
            make(architecture, device.torch, device.dtype, is_tiny=given.tiny), VARIANTS[name]
        )
        if card.default_width >= 1024:
            pipeline.vae.enable_slicing()  # a batch decoded at once would take more memory than the denoiser
        found[name] = measure(pipeline, card, device, batches, given.rounds, watch)
        if given.service and name == names[-1]:
            whole = measure_service(pipeline, card, VARIANTS[name], found[name])
        del pipeline
        device.free()
    missing = [f"{name} {rows}" for name, rates in found.items() for rows in batches if rows not in rates]
    notes = [f"Left out for lack of time or memory: {', '.join(missing)}."] if missing else []
    sizes = "tiny ones: this only tries the script" if given.tiny else "the real ones"
    notes.append(f"{device.title}, {str(device.dtype).removeprefix('torch.')}; random weights, sizes {sizes}.")
    options = {name: value for name, value in vars(given).items() if name not in ("out", "architecture")}
    figures = {"loops": found, "service": whole}
    outcome = Outcome(f"accelerator-{card.name}", options, tables(card, found, whole), figures, notes)
    outcome.write(given.out, partial(draw, card, found))


def measure(
    pipeline: Any, card: ModelCard, device: Device, batches: Sequence[int], rounds: int, watch: Stopwatch
) -> dict[int, Row]:
    """Return both loops' images per second at each batch that there is time and memory for."""
    found: dict[int, Row] = {}
    for rows in batches:
        if not watch.has_time():
            break
        try:
            found[rows] = compare(pipeline, card, device, rows, rounds)
        except torch.OutOfMemoryError:
            device.free()
            break
        print(
            f"batch {rows}: " + ", ".join(f"{name} {value:.3f}" for name, value in found[rows].items()), file=sys.stderr
        )
    return found


def compare(pipeline: Any, card: ModelCard, device: Device, rows: int, rounds: int) -> Row:
    """Return the medians of both loops at one batch, and the share of the time in which the engine kept it busy."""
    bare, ours = BareLoop(pipeline, card, rows), EngineLoop(pipeline, card, device, rows)
    try:
        for loop in (bare, ours):
            loop(rows, min(WARM_UP_STEPS, card.default_steps))
        _, once = timed(bare, rows, card.default_steps)
        images = rows * max(1, min(MOST_BATCHES, round(ROUND_SECONDS / once)))
        rates: dict[str, list[float]] = {"bare": [], "engine": [], "busy_share": []}
        for turn in range(rounds):
            for name, loop in (("bare", bare), ("engine", ours))[:: 1 if turn % 2 else -1]:
                busy, took = timed(loop, images, card.default_steps)
                rates[name].append(images / took)
                if name == "engine":
                    rates["busy_share"].append(busy / took)
    finally:
        ours.close()
    return {name: statistics.median(values) for name, values in rates.items()}


def timed(loop: BareLoop | EngineLoop, images: int, steps: int) -> tuple[float, float]:
    """Return the busy seconds that the engine booked, and the seconds that passed."""
    meter = loop.meter if isinstance(loop, EngineLoop) else None
    busy = meter.snapshot()["busy_seconds"] if meter else 0.0
    began = time.perf_counter()
    loop(images, steps)
    took = time.perf_counter() - began
    return (meter.snapshot()["busy_seconds"] - busy if meter else 0.0), took


def measure_service(pipeline: Any, card: ModelCard, words: Sequence[str], rates: dict[int, Row]) -> Row:
    """Return what the whole service makes of the same model, as the press sets its own batch."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / card.name
        pipeline.save_pretrained(directory, safe_serialization=True)
        sizes = {"default_width": card.default_width, "default_height": card.default_height, "size_multiple": 16}
        supplement = {"default_steps": card.default_steps, "default_guidance_scale": card.default_guidance_scale}
        limits = {"min_size": card.min_size, "max_size": card.max_size}
        (directory / "pressroom.json").write_text(json.dumps({**supplement, **sizes, **limits}), "utf-8")
        os.environ[f"{PREFIX}SPEED"] = ",".join(words) or "none"
        os.environ[f"{PREFIX}MAX_BATCH"] = str(max(rates))
        with service.running([directory]) as stack:
            books = stack.books()
            took = stack.take(SERVICE_IMAGES)
            busy = stack.books()["busy"] - books["busy"]
    return {"service": SERVICE_IMAGES / took, "busy_share": busy / took}


def tables(card: ModelCard, found: dict[str, dict[int, Row]], whole: Row) -> list[Table]:
    """Return the figures as they are to be read."""
    rows = []
    for name, rates in found.items():
        for batch, rate in rates.items():
            alone = next(iter(rates.values()))["bare"]
            cells = [f"{rate['bare']:.3f}", f"{rate['engine']:.3f}", f"{rate['engine'] / rate['bare']:.3f}"]
            rows.append(
                [f"{name}, batch {batch}", *cells, f"{rate['engine'] / alone:.2f}", f"{rate['busy_share']:.3f}"]
            )
    title = f"{card.name}, {card.default_width} px, {card.default_steps} steps"
    columns = ["", "bare images/s", "engine images/s", "engine ÷ bare", "engine ÷ bare one by one", "busy share"]
    shown = [Table(title, columns, rows)]
    if whole:
        best = max(rate["bare"] for rate in list(found.values())[-1].values())
        cells = [f"{whole['service']:.3f}", f"{whole['service'] / best:.3f}", f"{whole['busy_share']:.3f}"]
        shown.append(Table(f"{title}: the whole service", ["", "images/s", "÷ best bare loop", "busy share"],
                           [["service", *cells]]))  # fmt: skip
    return shown


def draw(card: ModelCard, found: dict[str, dict[int, Row]], path: Path) -> None:
    """Plot both loops over the batch, for each variant."""
    with plots.sheet(path, len(found), f"{card.name}, {card.default_width} px, {card.default_steps} steps") as panels:
        for panel, (name, rates) in zip(panels, found.items(), strict=True):
            lines = {loop: [rate[loop] for rate in rates.values()] for loop in ("bare", "engine")}
            plots.draw_lines(panel, list(rates), lines, "images/s", f"batch ({name})", "engine")


if __name__ == "__main__":
    main()
