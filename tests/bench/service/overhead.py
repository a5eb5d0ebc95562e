"""What the service costs: images per second through all of Pressroom ÷ a bare pipeline loop, on the same model.

Everything is on: HTTP, queue, claim, safety check, PNG, marking, thumbnail, storage, database. The contestants take
turns, in an order that changes from round to round; figures are medians of the rounds. Where the accelerator is the
CPU, the service's own work competes with the model for the same cores; on a GPU it does not.

Usage: ``python -m tests.bench.service.overhead [--rounds 5] [--images 24] [--models starter,bench]``
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from common.models.catalog import STARTER, ModelCard, read_card
from tests.bench import models, plots
from tests.bench.engine import loops
from tests.bench.outcome import FOLDER, Outcome, Table
from tests.bench.service import service
from worker.checkers.interface import Thresholds
from worker.checkers.open_nsfw import OpenNsfwChecker

SERVICE = "service"
SERVICE_ONE_THREAD = "service, 1 torch thread"
RIVALS = {
    "one loop, 1 torch thread": {"torch_threads": 1},
    "one loop, 2 torch threads": {"torch_threads": 2},
    "two loops, 1 torch thread each": {"loops": 2},
}
ONE_AT_A_TIME = list(RIVALS)[:2]

Take = Callable[[int], float]


def main(words: list[str] | None = None) -> None:
    """Measure each model, print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=24, help="images of each contestant in each round")
    parser.add_argument("--models", default="starter,bench", help="starter, bench, or directories")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in given.models.split(","):
            directory = {"starter": lambda: STARTER, "bench": lambda: models.build(Path(folder))}.get(name)
            chosen = directory() if directory else Path(name)
            card = read_card(chosen)
            found[title(card)] = measure(card, chosen, given.rounds, given.images)
    options = {"rounds": given.rounds, "images": given.images, "models": given.models}
    made = [table for name, figures in found.items() for table in tables(name, figures)]
    Outcome("overhead", options, made, found).write(given.out, partial(draw, found))


def title(card: ModelCard) -> str:
    """Return a model's name with what one of its pictures takes."""
    return f"{card.name}, {card.default_width} px, {card.default_steps} steps"


def measure(card: ModelCard, directory: Path, rounds: int, images: int) -> dict[str, Any]:
    """Return images per second of each contestant by round, and what else the service's books and clocks say."""
    with ExitStack() as stack:
        rivals = {
            name: stack.enter_context(loops.running(card, directory, **options)) for name, options in RIVALS.items()
        }
        contestants: dict[str, Take] = {name: rival.take for name, rival in rivals.items()}
        lean = stack.enter_context(service.running([directory], torch_threads=1))
        ours = stack.enter_context(service.running([directory]))
        for rival in rivals.values():
            rival.warm()
        costs: Counter[str] = Counter()
        contestants |= {SERVICE_ONE_THREAD: partial(take_counting, lean, costs), SERVICE: ours.take}
        rates = take_turns(contestants, rounds, images)
        alone = {name: contestants[name] for name in ONE_AT_A_TIME}
        alone |= {SERVICE_ONE_THREAD: lambda _: lean.take_one(), SERVICE: lambda _: ours.take_one()}
        idle = take_turns(alone, rounds, 1)
        return {
            "rates": rates,
            "core_milliseconds": {name: 1000 * seconds / (rounds * images) for name, seconds in costs.items()},
            "alone_seconds": {name: [1 / rate for rate in each] for name, each in idle.items()},
            "check_seconds": time_check(card.default_width),
            "books": ours.books(),
        }


def take_counting(stack: service.Service, costs: Counter[str], images: int) -> float:
    """Have a service print so many images; return the seconds, and add to *costs* the CPU seconds of each part."""
    before = stack.cpu_seconds()
    took = stack.take(images)
    costs.update(stack.cpu_seconds().since(before))
    return took


def take_turns(contestants: dict[str, Take], rounds: int, images: int) -> dict[str, list[float]]:
    """Return the images per second of each contestant, one entry for each round; another one begins each round."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            rates[name].append(images / contestants[name](images))
            print(f"round {turn + 1}: {name:32} {rates[name][-1]:.3f} images/s", file=sys.stderr)
    return rates


def time_check(side: int, times: int = 9) -> float:
    """Return the median seconds that the safety check of one picture takes by itself."""
    checker = OpenNsfwChecker(Thresholds(0.2, 0.8))
    checker.load()
    picture = Image.effect_noise((side, side), 40).convert("RGB")
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        checker.check(picture)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def tables(name: str, figures: dict[str, Any]) -> list[Table]:
    """Return one model's figures as they are to be read."""
    return [_rates(name, figures), _costs(name, figures), _alone(name, figures), _books(name, figures["books"])]


def _rates(name: str, figures: dict[str, Any]) -> Table:
    medians = {each: statistics.median(rates) for each, rates in figures["rates"].items()}
    best = max(medians[each] for each in ONE_AT_A_TIME)
    rows = [
        [each, f"{rate:.3f}", f"{min(figures['rates'][each]):.3f}", f"{max(figures['rates'][each]):.3f}",
         f"{rate / best:.3f}"]
        for each, rate in medians.items()
    ]  # fmt: skip
    return Table(f"{name}: saturated", ["contestant", "images/s", "least", "most", "÷ best single loop"], rows)


def _costs(name: str, figures: dict[str, Any]) -> Table:
    costs = dict(figures["core_milliseconds"])
    engine = costs.pop("engine")
    rows = [[part, f"{cost:.1f}"] for part, cost in sorted(costs.items(), key=lambda item: -item[1])]
    rows += [["all outside the engine", f"{sum(costs.values()):.1f}"], ["the engine's thread", f"{engine:.1f}"]]
    return Table(f"{name}: core-milliseconds per image", ["process", "core-ms"], rows)


def _alone(name: str, figures: dict[str, Any]) -> Table:
    medians = {each: statistics.median(seconds) for each, seconds in figures["alone_seconds"].items()}
    best = min(medians[each] for each in ONE_AT_A_TIME)
    rows = [[each, f"{1000 * seconds:.0f}"] for each, seconds in medians.items()]
    rows.append(["the safety check by itself", f"{1000 * figures['check_seconds']:.0f}"])
    over = medians[SERVICE] - best - figures["check_seconds"]
    rows.append(["the service's own, besides the check", f"{1000 * over:.0f}"])
    return Table(f"{name}: one image of an idle press, from POST to `finished_at`", ["", "ms"], rows)


def _books(name: str, books: dict[str, float]) -> Table:
    rows = [
        [phase, f"{seconds:.2f}", f"{seconds / books['booked']:.1%}"]
        for phase, seconds in books.items()
        if phase not in ("booked", "overhead", "busy")
    ]
    gap = books["busy"] - books["booked"] - books["overhead"]
    rows.append(["overhead (load, profile, warm-up)", f"{books['overhead']:.2f}", ""])
    rows.append(["busy − booked − overhead", f"{gap:.4f}", ""])
    return Table(f"{name}: where the accelerator's seconds went", ["", "seconds", "share of the jobs'"], rows)


def draw(found: dict[str, dict[str, Any]], path: Path) -> None:
    """Plot the rates of each model."""
    with plots.sheet(path, len(found), "Images per second, everything on; line: best single loop") as panels:
        for panel, (name, figures) in zip(panels, found.items(), strict=True):
            medians = {each: statistics.median(rates) for each, rates in figures["rates"].items()}
            best = max(medians[each] for each in ONE_AT_A_TIME)
            plots.draw_bars(panel, medians, "images/s", SERVICE, line=best)
            panel.set_title(name, fontsize=9)


if __name__ == "__main__":
    main()
