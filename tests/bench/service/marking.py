"""What checking and marking cost: images per second with neither, with the check, and with signed manifests besides.

The three services take turns in one run, beside the bare loop. ``painted`` stands for an accelerator that leaves the
CPU alone, as a GPU does: its model sleeps. With ``starter`` the CPU is the accelerator, so that every millisecond
beside it is taken from it. A second table tells whether c2pa-python's reader accepts, and ExifTool lists, what was
signed.

Usage: ``python -m tests.bench.service.marking [--rounds 5] [--images 48] [--models painted,starter]``
"""

import argparse
import io
import json
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import c2pa

from common.db.ids import create_id
from common.images.certificates import CHAIN, KEY, create_chain
from common.jobs.request import OutputFormat
from common.models.catalog import PAINTED, STARTER, read_card
from tests.bench import plots
from tests.bench.engine import loops
from tests.bench.outcome import FOLDER, Outcome, Table
from tests.bench.service import service
from tests.bench.service.overhead import take_turns
from tests.bench.service.photos import draw_photo
from tests.bench.service.publishing import open_trial_signer
from worker.engine.painted import MOST_ROWS
from worker.pictures import encode
from worker.pictures.mark import Mark

NEITHER, CHECKED, SIGNED = "neither", "checked", "checked and signed"
LOOP = "bare loop"
STEPS, STEP_SECONDS, SIDE = 20, 0.05, 512
"""Of the accelerator that is emulated: four images of 512 px a second."""

Take = Callable[[int], float]


def main(words: list[str] | None = None) -> None:
    """Measure each model, print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=48, help="images of each contestant in each round")
    parser.add_argument("--models", default="painted,starter", help="painted, starter, or directories")
    parser.add_argument(
        "--services", default=f"{NEITHER},{CHECKED},{SIGNED}", help="which take part, the plainest first"
    )
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    services = given.services.split(",")
    rates = {name: measure(name, services, given.rounds, given.images) for name in given.models.split(",")}
    read = {form.value: read_back(form) for form in OutputFormat}
    options = {"rounds": given.rounds, "images": given.images, "models": given.models}
    tables = [*(tabulate(name, found) for name, found in rates.items()), tabulate_readers(read)]
    Outcome("marking", options, tables, {"rates": rates, "readers": read}).write(given.out, partial(draw, rates))


def measure(model: str, services: list[str], rounds: int, images: int) -> dict[str, list[float]]:
    """Return images per second of each contestant, one entry for each round."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        create_chain(Path(folder), "Pressroom bench", days=1)
        signing = {"PROVENANCE_CERTIFICATE": f"{folder}/{CHAIN}", "PROVENANCE_KEY": f"{folder}/{KEY}"}
        variants = {
            NEITHER: {"CHECKER": "none", "SAFETY_OFF_ACKNOWLEDGED": "true", "PROVENANCE": "off"},
            CHECKED: {"CHECKER": "open_nsfw", "PROVENANCE": "off"},
            SIGNED: {"CHECKER": "open_nsfw", "PROVENANCE": "required", **signing},
        }
        variants = {name: variants[name] for name in services}
        contestants: dict[str, Take] = {}
        if model == PAINTED:
            emulated = {"MODELS": PAINTED, "MAX_BATCH": str(MOST_ROWS), "PAINTED_STEP_SECONDS": str(STEP_SECONDS)}
            fields = {"width": SIDE, "height": SIDE, "steps": STEPS}
            contestants[LOOP] = _take_emulated
            for name, settings in variants.items():
                running = stack.enter_context(service.running(settings=settings | emulated))
                contestants[name] = partial(running.take, **fields)
        else:
            directory = STARTER if model == "starter" else Path(model)
            card = read_card(directory)
            loop = stack.enter_context(loops.running(card, directory))
            contestants[LOOP] = loop.take
            for name, settings in variants.items():
                running = stack.enter_context(service.running([directory], torch_threads=1, settings=settings))
                contestants[name] = running.take
            loop.warm()
        return take_turns(contestants, rounds, images)


def _take_emulated(images: int) -> float:
    """Return what an accelerator that sleeps takes for so many images and nothing else, in full batches."""
    return -(-images // MOST_ROWS) * STEPS * STEP_SECONDS


def read_back(form: OutputFormat) -> dict[str, Any]:
    """Return what readers say of a signed file of a format."""
    mark = Mark(job_id=create_id(), model="bench")
    data = open_trial_signer().sign(encode.encode_picture(draw_photo(128), form, mark), form.content_type, mark).data
    state = c2pa.Reader(form.content_type, io.BytesIO(data)).get_validation_state()
    return {"c2pa": state, **_ask_exiftool(data)}


def _ask_exiftool(data: bytes) -> dict[str, Any]:
    program = shutil.which("exiftool")
    if program is None:
        return {"version": None, "manifest": None, "xmp": None}
    listed = subprocess.run([program, "-j", "-G1", "-"], input=data, capture_output=True, check=True).stdout
    found: dict[str, Any] = json.loads(listed)[0]
    return {
        "version": found["ExifTool:ExifToolVersion"],
        "manifest": any(name.startswith(("JUMBF:", "CBOR:")) for name in found),
        "xmp": "XMP-iptcExt:DigitalSourceType" in found,
    }


def tabulate(model: str, rates: dict[str, list[float]]) -> Table:
    """Return one model's rates as they are to be read."""
    medians = {name: statistics.median(each) for name, each in rates.items()}
    plainest = next(name for name in rates if name != LOOP)
    rows = [
        [
            name,
            *(f"{figure:.3f}" for figure in (rate, min(rates[name]), max(rates[name]))),
            f"{rate / medians[LOOP]:.3f}",
            f"{rate / medians[plainest] - 1:+.1%}",
        ]
        for name, rate in medians.items()
    ]
    return Table(f"{model}: saturated", ["", "images/s", "least", "most", "÷ bare loop", f"against {plainest}"], rows)


def tabulate_readers(read: dict[str, dict[str, Any]]) -> Table:
    """Return what readers say as it is to be read."""
    version = next(iter(read.values()))["version"]
    listed = {True: "listed", False: "not listed", None: "not installed"}
    rows = [[form, told["c2pa"], listed[told["manifest"]], listed[told["xmp"]]] for form, told in read.items()]
    tool = f"ExifTool {version}" if version else "ExifTool"
    return Table("Who reads the marks", ["format", "c2pa-python", f"manifest, {tool}", f"XMP, {tool}"], rows)


def draw(rates: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Plot the rates of each model."""
    with plots.sheet(path, len(rates), "Images per second; line: bare loop") as panels:
        for panel, (model, found) in zip(panels, rates.items(), strict=True):
            medians = {name: statistics.median(each) for name, each in found.items()}
            plots.draw_bars(panel, medians, "images/s", SIGNED, line=medians[LOOP])
            panel.set_title(model, fontsize=9)


if __name__ == "__main__":
    main()
