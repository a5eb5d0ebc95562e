"""The tail: what it costs to bring a picture from the accelerator to the storage, and how well that overlaps.

Three tables, on photo-like pictures of 128, 512 and 1024 px: PNG encoders against each other; core-milliseconds of each
part of the tail, as ``worker.press.publish`` does them; pictures per second by one and by two threads, and how long the
longest of them keeps another thread from running (the engine's own thread shares the interpreter with them).

Usage: ``python -m tests.bench.service.publishing [--times 15] [--sides 128,512,1024]``
"""

import argparse
import hashlib
import io
import statistics
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from common.db.ids import create_id
from common.images.certificates import CHAIN, KEY, Credentials, create_chain
from common.images.perceptual_hash import compute_fingerprint
from common.jobs.request import OutputFormat
from common.settings import Settings
from common.storage import open_storage
from common.storage.port import Storage
from tests.bench import plots
from tests.bench.outcome import FOLDER, Outcome, Table
from tests.bench.service.photos import draw_photo
from worker.checkers.interface import Checker, Thresholds
from worker.checkers.open_nsfw import OpenNsfwChecker
from worker.pictures import encode
from worker.pictures.mark import Mark
from worker.pictures.signing import C2paSigner

OURS = "ours, worker/pictures/encode.py"
FOREIGN = ("isal", "fpng_py", "cv2", "pyvips")
"""Other encoders that are known to be fast; the first is tried where it is installed, none is needed."""

BLINK_SECONDS = 0.0005
Work = Callable[[], object]


def main(words: list[str] | None = None) -> None:
    """Measure, print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=15, help="how often each thing is done; the median counts")
    parser.add_argument("--sides", default="128,512,1024")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    sides = [int(side) for side in given.sides.split(",")]
    checker = OpenNsfwChecker(Thresholds(0.2, 0.8))
    checker.load()
    with tempfile.TemporaryDirectory() as folder:
        storage = open_storage(Settings(home=Path(folder)))
        photos = {side: draw_photo(side) for side in sides}
        figures = {
            "encoders": {side: measure_encoders(photo, given.times) for side, photo in photos.items()},
            "parts": {side: measure_parts(photo, checker, storage, given.times) for side, photo in photos.items()},
            "overlap": {side: measure_overlap(photo, checker, storage, given.times) for side, photo in photos.items()},
        }
    options = {"times": given.times, "sides": given.sides}
    Outcome("tail", options, tables(figures), figures, notes()).write(given.out, partial(draw, figures))


def encoders(photo: Image.Image) -> dict[str, Callable[[], bytes]]:
    """Return the ways to make a PNG of *photo* that there are here."""
    mark = Mark(job_id=create_id(), model="bench")
    found: dict[str, Callable[[], bytes]] = {
        "Pillow, default": lambda: save(photo),
        "Pillow, level 1": lambda: save(photo, compress_level=1),
        "Pillow, level 1, runs only": lambda: save(photo, compress_level=1, compress_type=zlib.Z_RLE),
        OURS: lambda: encode.encode_picture(photo, OutputFormat.PNG, mark),
    }
    if find_spec("isal"):
        found["ours with isal's deflate, level 1"] = lambda: deflate_with_isal(photo)
    return found


def save(photo: Image.Image, **options: Any) -> bytes:
    """Return the PNG file that Pillow writes."""
    file = io.BytesIO()
    photo.save(file, "PNG", **options)
    return file.getvalue()


def deflate_with_isal(photo: Image.Image) -> bytes:
    """Return the pixels as our encoder filters them, deflated by Intel's library; the file's frame is a few bytes."""
    from isal import isal_zlib  # noqa: PLC0415  (may be missing)

    return isal_zlib.compress(encode._filter_rows(photo), 1)


def measure_encoders(photo: Image.Image, times: int) -> dict[str, dict[str, float]]:
    """Return the core-milliseconds and the KiB of each encoder."""
    found = encoders(photo)
    spent = core_milliseconds(found, times)
    return {name: {"core_ms": spent[name], "kib": len(encode()) / 1024} for name, encode in found.items()}


def measure_parts(photo: Image.Image, checker: Checker, storage: Storage, times: int) -> dict[str, float]:
    """Return the core-milliseconds of each part of the tail."""
    mark = Mark(job_id=create_id(), model="bench")
    data, small = encode.encode_picture(photo, OutputFormat.PNG, mark), encode.encode_thumbnail(photo, mark)
    signer = open_trial_signer()
    return core_milliseconds(
        {
            "check": lambda: checker.check(photo),
            "encode": lambda: encode.encode_picture(photo, OutputFormat.PNG, mark),
            "of that, mark": mark.as_xmp,
            "sign": lambda: signer.sign(data, "image/png", mark),
            "fingerprint": lambda: compute_fingerprint(photo),
            "thumbnail": lambda: encode.encode_thumbnail(photo, mark),
            "hash": lambda: hashlib.sha256(data).hexdigest(),
            "store": lambda: (storage.put("bench/a.png", data, "image/png"), storage.put("bench/a.webp", small, "")),
        },
        times,
    )


def open_trial_signer() -> C2paSigner:
    """Return a signer with a certificate that was made for the occasion."""
    with tempfile.TemporaryDirectory() as folder:
        create_chain(Path(folder), "Pressroom bench", days=1)
        signer = C2paSigner(Credentials(Path(folder) / CHAIN, Path(folder) / KEY))
        signer.load()
        return signer


def core_milliseconds(works: Mapping[str, Work], times: int) -> dict[str, float]:
    """Return the median CPU time of this thread for each, done in turns."""
    spent: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(times):
        for name, work in works.items():
            began = time.thread_time()
            work()
            spent[name].append(1000 * (time.thread_time() - began))
    return {name: statistics.median(each) for name, each in spent.items()}


def measure_overlap(photo: Image.Image, checker: Checker, storage: Storage, times: int) -> dict[str, float]:
    """Return pictures per second through the whole tail by one and by two threads, and the longest stalls."""
    mark, signer = Mark(job_id=create_id(), model="bench"), open_trial_signer()

    def finish(number: int) -> None:
        checker.check(photo)
        data = signer.sign(encode.encode_picture(photo, OutputFormat.PNG, mark), "image/png", mark).data
        compute_fingerprint(photo)
        small = encode.encode_thumbnail(photo, mark)
        storage.put(f"bench/{number}-{hashlib.sha256(data).hexdigest()}.png", data, "image/png")
        storage.put(f"bench/{number}.webp", small, "image/webp")

    rates = {}
    for threads in (1, 2):
        with ThreadPoolExecutor(threads) as pool:
            began = time.perf_counter()
            list(pool.map(finish, range(2 * times)))
            rates[f"per_second_{threads}"] = 2 * times / (time.perf_counter() - began)
    return {**rates, "stall_ms": longest_stall(lambda: finish(0), times), "idle_stall_ms": longest_stall(rest, times)}


def rest() -> None:
    """Do nothing for a while, as a measure of the machine itself."""
    time.sleep(0.02)


def longest_stall(work: Work, times: int) -> float:
    """Return the median over *times* of the longest that another thread was kept waiting by *work*, in milliseconds."""
    stalls = []
    for _ in range(times):
        gaps: list[float] = []
        over = threading.Event()
        watcher = threading.Thread(target=_blink, args=(gaps, over))
        watcher.start()
        work()
        over.set()
        watcher.join()
        stalls.append(1000 * max(gaps))
    return statistics.median(stalls)


def _blink(gaps: list[float], over: threading.Event) -> None:
    while not over.is_set():
        began = time.perf_counter()
        time.sleep(BLINK_SECONDS)
        gaps.append(time.perf_counter() - began - BLINK_SECONDS)


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return the figures as they are to be read."""
    sides = list(figures["parts"])
    shown = [
        Table("PNG encoders, one core", ["encoder", *(f"{side} px: ms, KiB" for side in sides)], _encoders(figures))
    ]
    parts = [[part, *(f"{figures['parts'][side][part]:.2f}" for side in sides)] for part in figures["parts"][sides[0]]]
    whole = [sum(value for part, value in figures["parts"][side].items() if part != "of that, mark") for side in sides]
    parts.append(["all", *(f"{total:.1f}" for total in whole)])
    shown.append(Table("The tail, core-milliseconds per image", ["part", *(f"{side} px" for side in sides)], parts))
    names = {
        "per_second_1": "pictures/s, one thread",
        "per_second_2": "pictures/s, two threads",
        "stall_ms": "longest stall of another thread, ms",
        "idle_stall_ms": "the same with nothing to do, ms",
    }
    rows = [[title, *(f"{figures['overlap'][side][name]:.1f}" for side in sides)] for name, title in names.items()]
    shown.append(Table("The tail beside other threads", ["", *(f"{side} px" for side in sides)], rows))
    return shown


def _encoders(figures: dict[str, Any]) -> list[list[str]]:
    sides = figures["encoders"]
    names: Sequence[str] = list(next(iter(sides.values())))
    return [
        [name, *(f"{sides[side][name]['core_ms']:.1f}, {sides[side][name]['kib']:.0f}" for side in sides)]
        for name in names
    ]


def notes() -> list[str]:
    """Return what was left out."""
    missing = [name for name in FOREIGN if name != "isal" or not find_spec(name)]
    return [
        f"Not tried: {', '.join(missing)}; Pressroom needs none of them.",
        "The store is a directory here; a bucket costs its own latency, during which nothing is computed.",
    ]


def draw(figures: dict[str, Any], path: Path) -> None:
    """Plot the encoders at the largest size, and the parts at all."""
    sides = list(figures["parts"])
    with plots.sheet(path, 2, "The tail of a picture") as (left, right):
        last = figures["encoders"][sides[-1]]
        plots.draw_bars(left, {name: each["core_ms"] for name, each in last.items()}, f"core-ms, {sides[-1]} px", OURS)
        names = [part for part in figures["parts"][sides[0]] if part != "of that, mark"]
        parts = {part: [figures["parts"][side][part] for side in sides] for part in names}
        plots.draw_stacks(right, [f"{side} px" for side in sides], parts, "core-ms per image")


if __name__ == "__main__":
    main()
