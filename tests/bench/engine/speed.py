"""What each word of ``PRESSROOM_SPEED``, and each precision, gives on this machine: one forward pass and one decode.

Each way is set beside the same model with nothing done, in turns; figures are medians over the rounds. A pass is what
the engine asks of a model in one step for so many pictures (twice as many rows where guidance asks twice), without the
schedulers. ``starter`` is the starter model's shape with latents of 16 × 16; the others are built in their real sizes,
with random weights, and want a GPU.

Usage:
``python -m tests.bench.engine.speed [starter|sd15|sdxl|flux] [--pictures 1,4,8] [--ways channels_last,int8+compile]``
"""

import argparse
import copy
import dataclasses
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from common.errors import SettingsError
from common.jobs.request import ImageRequest
from common.models.catalog import ModelCard, read_card
from tests.bench import models, plots
from tests.bench.engine.architectures import ARCHITECTURES, make
from tests.bench.outcome import FOLDER, Outcome, Table
from worker.engine.families.denoising import Denoising, DenoisingFamily, Tensor
from worker.engine.families.factory import FAMILIES
from worker.engine.interface import Inputs
from worker.engine.torch_backend import load_pipeline, optimizations
from worker.torch_device import PRECISIONS, Device

STARTER = "starter"
WAYS = {
    "cpu": "channels_last,fuse_qkv,channels_last+fuse_qkv,compile,channels_last+compile,int8,bf16",
    "cuda": "channels_last,fuse_qkv,compile,channels_last+compile,channels_last+fuse_qkv+compile,int8+compile,"
    "fp8+compile,fp16",
}
FASTER, SLOWER = 0.97, 1.03
"""What lies between the two is called no difference: repeated runs differ by as much."""


def main(words: list[str] | None = None) -> None:
    """Measure, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=STARTER, choices=[STARTER, *ARCHITECTURES])
    parser.add_argument("--pictures", default="1,4,8")
    parser.add_argument("--ways", help="words of PRESSROOM_SPEED and precisions, joined by +, separated by commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="of torch, on a CPU; by default what torch takes")
    parser.add_argument("--tiny", action="store_true", help="build the small form of an architecture, as a test")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    if given.threads:
        torch.set_num_threads(given.threads)
    device = Device("auto")
    pictures = [int(number) for number in given.pictures.split(",")]
    ways = (given.ways or WAYS[device.torch.type]).split(",")
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        plain = open_plain(given.model, device, Path(folder), is_tiny=given.tiny)
        figures, refused = measure(plain, ways, pictures, given.rounds)
    options = {name: value for name, value in vars(given).items() if name != "out"}
    options |= {"device": device.title, "threads": torch.get_num_threads(), "precision": str(device.dtype)}
    name = f"speed-{given.model}"
    Outcome(name, options, [tabulate(name, figures, pictures)], figures, [*refused, notes()]).write(
        given.out, partial(draw, name, figures, pictures)
    )


def open_plain(name: str, device: Device, folder: Path, *, is_tiny: bool) -> DenoisingFamily:
    """Return the model with nothing done for speed."""
    if name == STARTER:
        directory = models.build(folder)
        pipeline, card = load_pipeline.open_pipeline(directory, device), read_card(directory)
    else:
        architecture = ARCHITECTURES[name]
        pipeline = make(architecture, device.torch, device.dtype, is_tiny=is_tiny)
        card = architecture.card(name, is_tiny=is_tiny)
    return FAMILIES[card.family](pipeline, card, device)


def measure(
    plain: DenoisingFamily, ways: Sequence[str], pictures: Sequence[int], rounds: int
) -> tuple[dict[str, Any], list[str]]:
    """Return the figures of each way, and a sentence for each that this machine refuses."""
    figures: dict[str, Any] = {}
    refused: list[str] = []
    for way in ways:
        try:
            varied = vary(plain, way)
            figures[way] = {number: compare_passes(plain, varied, way, number, rounds) for number in pictures}
            figures[way]["decode"] = compare_decodes(plain, varied, way, rounds)
        except (SettingsError, torch.OutOfMemoryError) as error:
            refused.append(f"{way} was left out: {error}")
        varied = None
        torch._dynamo.reset()
        gc.collect()
        plain.device.free()
    return figures, refused


def vary(plain: DenoisingFamily, way: str) -> DenoisingFamily:
    """Return the same model with what *way* says done to a copy of its denoiser and its decoder."""
    words = set(way.split("+")) - set(PRECISIONS)
    chosen = optimizations.choose_speedups(words, Device(str(plain.device.torch), precision_of(way)))
    pipeline = copy.copy(plain.pipeline)
    for name in ("unet", "transformer", "vae"):
        if getattr(pipeline, name, None) is not None:
            part = copy.deepcopy(getattr(pipeline, name))
            torch.nn.Module.to(part, PRECISIONS.get(precision_of(way)))  # diffusers' own warns that it is not loading
            setattr(pipeline, name, part)
    return type(plain)(optimizations.apply_speedups(pipeline, chosen), plain.card, plain.device)


def precision_of(way: str) -> str:
    """Return the precision that a way names, or ``auto``."""
    return next((word for word in way.split("+") if word in PRECISIONS), "auto")


def compare_passes(
    plain: DenoisingFamily, varied: DenoisingFamily, way: str, pictures: int, rounds: int
) -> dict[str, float]:
    """Return the figures of one pass for so many pictures."""
    ours = plain.begin(request_of(plain.card), range(pictures), Inputs())
    theirs = [cast(drawing, way) for drawing in ours]
    return compare(plain.device, partial(plain.forward, ours), partial(varied.forward, theirs), rounds)


def compare_decodes(plain: DenoisingFamily, varied: DenoisingFamily, way: str, rounds: int) -> dict[str, float]:
    """Return the figures of the decoding of one picture."""
    ours = plain.begin(request_of(plain.card), [0], Inputs())
    theirs = [cast(drawing, way) for drawing in ours]
    return compare(plain.device, partial(plain.decode, ours), partial(varied.decode, theirs), rounds)


def request_of(card: ModelCard) -> ImageRequest:
    """Return what is usually asked of the model."""
    return ImageRequest(
        prompt="a fox on a red background",
        model=card.name,
        width=card.default_width,
        height=card.default_height,
        steps=card.default_steps,
        guidance_scale=card.default_guidance_scale,
        seed=0,
    )


def cast(drawing: Denoising, way: str) -> Denoising:
    """Return the drawing in the precision of *way*."""
    kind = PRECISIONS.get(precision_of(way))
    if kind is None:
        return drawing
    condition = {name: value.to(kind) for name, value in drawing.condition.items()}
    return dataclasses.replace(drawing, latents=drawing.latents.to(kind), condition=condition)


def compare(device: Device, ours: Callable[[], Tensor], theirs: Callable[[], Tensor], rounds: int) -> dict[str, float]:
    """Return the milliseconds of both, their ratio, how far their results differ, and what the first call took."""
    expected = ours().float()
    first, found = take(device, theirs)
    spent: list[tuple[float, float]] = []
    for turn in range(rounds + 1):  # the first is for warming up
        if turn % 2:
            plain, varied = take(device, ours)[0], take(device, theirs)[0]
        else:
            varied, plain = take(device, theirs)[0], take(device, ours)[0]
        spent.append((plain, varied))
    plain, varied = (1000 * statistics.median(each) for each in zip(*spent[1:], strict=True))
    return {
        "plain_ms": plain,
        "ms": varied,
        "ratio": varied / plain,
        "difference": float((found.float() - expected).abs().max() / expected.abs().max()),
        "first_seconds": first,
    }


def take(device: Device, work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Return the seconds that *work* takes, and what it returns."""
    device.finish()
    began = time.perf_counter()
    result = work()
    device.finish()
    return time.perf_counter() - began, result


def tabulate(name: str, figures: dict[str, Any], pictures: Sequence[int]) -> Table:
    """Return the figures as they are to be read."""
    columns = ["way", *(f"{number}: ms, × plain" for number in pictures), "decode: ms, × plain"]
    rows = []
    for way, found in figures.items():
        pairs = [f"{found[place]['ms']:.1f}, {found[place]['ratio']:.2f}" for place in (*pictures, "decode")]
        slowest = max(found[number]["first_seconds"] for number in pictures)
        difference = max(found[number]["difference"] for number in pictures)
        rows.append([way, *pairs, f"{difference:.0e}", f"{slowest:.1f}"])
    plain = [[figures[way][place]["plain_ms"] for way in figures] for place in (*pictures, "decode")]
    if figures:
        rows.insert(0, ["plain", *(f"{statistics.median(each):.1f}, 1.00" for each in plain), "", ""])
    return Table(name, [*columns, "largest difference", "first pass, s"], rows)


def notes() -> str:
    """Return how the table is to be read."""
    return (
        "Columns: pictures stepped together. A first pass compiles where that is asked for, once for each number of "
        f"rows. Ratios from {FASTER} to {SLOWER} are no difference."
    )


def draw(name: str, figures: dict[str, Any], pictures: Sequence[int], path: Path) -> None:
    """Draw the ratios."""
    with plots.sheet(path, len(pictures), f"{name}: time of a pass ÷ plain") as panels:
        for panel, number in zip(panels, pictures, strict=True):
            ratios = {way: found[number]["ratio"] for way, found in figures.items()}
            plots.draw_bars(panel, ratios, f"{number} pictures", "channels_last", line=1.0)


if __name__ == "__main__":
    main()
