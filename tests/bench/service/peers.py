"""Pressroom against what a user would pick instead: a plain Celery worker, and LitServe with batching.

The same weights, machine, seeds and arrivals, in one run. First each contestant with one and with two torch threads is
handed all orders at once, in turns; then the better of its two serves random arrivals. All orders have equal steps, as
LitServe's batches need. The others neither check nor mark nor book anything; Pressroom does all of it.

Usage: ``python -m tests.bench.service.peers [--rounds 5] [--images 24] [--orders 40] [--loads 0.8,1.2] [--model DIR]``
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from common.models.catalog import STARTER, ModelCard, read_card
from tests.bench import plots
from tests.bench.engine.contestants import KINDS, Contestant, awake
from tests.bench.engine.queueing import percentile
from tests.bench.outcome import FOLDER, Outcome, Table

OURS, BASIS = "Pressroom", "Celery worker"
"""Loads are multiples of what the basis can serve."""

Figures = dict[str, Any]


def main(words: list[str] | None = None) -> None:
    """Run all contestants, print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of saturated throughput")
    parser.add_argument("--images", type=int, default=24, help="images of each contestant in each round")
    parser.add_argument("--orders", type=int, default=40, help="random arrivals in each run")
    parser.add_argument("--seeds", type=int, default=3, help="runs of random arrivals at each load")
    parser.add_argument("--loads", default="0.8,1.2", help=f"multiples of what the {BASIS} can serve")
    parser.add_argument("--threads", default="1,2", help="numbers of torch threads; each contestant's best counts")
    parser.add_argument("--model", type=Path, default=STARTER)
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    card = read_card(given.model)
    loads = [float(load) for load in given.loads.split(",")]
    numbers = [int(threads) for threads in given.threads.split(",")]
    with ExitStack() as stack:
        pool = {
            (name, threads): stack.enter_context(run(card, given.model, threads))
            for name, run in KINDS.items()
            for threads in numbers
        }
        rates = saturate(pool, given.rounds, given.images)
        best = {name: max(numbers, key=lambda threads: statistics.median(rates[name, threads])) for name in KINDS}
        capacity = statistics.median(rates[BASIS, best[BASIS]])
        chosen = {name: pool[name, threads] for name, threads in best.items()}
        latencies = {load: arrive(chosen, load * capacity, given.orders, given.seeds) for load in loads}
    named = {f"{name}, {threads} torch thread{'s' * (threads > 1)}": each for (name, threads), each in rates.items()}
    figures = {"rates": named, "best_threads": best, "latencies": latencies}
    options = {name: value for name, value in vars(given).items() if name not in ("out", "model")}
    notes = ["Orders have equal steps, as LitServe's batches need; only Pressroom checks, marks, stores and books."]
    made = tables(title(card), figures)
    Outcome("peers", options, made, figures, notes).write(given.out, partial(draw, title(card), figures))


def title(card: ModelCard) -> str:
    """Return a model's name with what one of its pictures takes."""
    return f"{card.name}, {card.default_width} px, {card.default_steps} steps"


def saturate(pool: dict[tuple[str, int], Contestant], rounds: int, images: int) -> dict[tuple[str, int], list[float]]:
    """Return images per second of each, one entry for each round; another one begins each round."""
    rates: dict[tuple[str, int], list[float]] = {key: [] for key in pool}
    keys = list(pool)
    for turn in range(rounds):
        for key in keys[turn % len(keys) :] + keys[: turn % len(keys)]:
            with awake(pool[key]):
                for seed in range(images):
                    pool[key].send(seed)
                spans = pool[key].collect()
            rates[key].append(images / (max(end for _, end in spans) - spans[0][0]))
            print(f"round {turn + 1}: {key[0]:14} {key[1]} threads {rates[key][-1]:.3f} images/s", file=sys.stderr)
    return rates


def arrive(chosen: dict[str, Contestant], rate: float, orders: int, seeds: int) -> dict[str, list[float]]:
    """Return the latencies of each contestant over all runs, each run the same for all."""
    latencies: dict[str, list[float]] = {name: [] for name in chosen}
    names = list(chosen)
    for seed in range(seeds):
        for name in names[seed % len(names) :] + names[: seed % len(names)]:
            with awake(chosen[name]):
                latencies[name] += _serve(chosen[name], rate, orders, seed)
            print(f"{rate:.2f}/s, run {seed + 1}: {name:14} p95 {percentile(latencies[name], 95):.2f}", file=sys.stderr)
    return latencies


def _serve(contestant: Contestant, rate: float, orders: int, seed: int) -> list[float]:
    dice = random.Random(seed)
    due = time.perf_counter()
    for number in range(orders):
        due += dice.expovariate(rate)
        time.sleep(max(0.0, due - time.perf_counter()))
        contestant.send(number)
    return [end - began for began, end in contestant.collect()]


def tables(model: str, figures: Figures) -> list[Table]:
    """Return the figures as they are to be read."""
    medians = {name: statistics.median(rates) for name, rates in figures["rates"].items()}
    ours = max(rate for name, rate in medians.items() if name.startswith(OURS))
    rows = [
        [name, f"{rate:.3f}", f"{min(figures['rates'][name]):.3f}", f"{max(figures['rates'][name]):.3f}",
         f"{ours / rate:.2f}"]
        for name, rate in medians.items()
    ]  # fmt: skip
    shown = [Table(f"{model}: saturated", ["contestant", "images/s", "least", "most", "Pressroom's best ÷"], rows)]
    rows = [
        [f"{load:g} × {name}", f"{figures['best_threads'][name]}", f"{statistics.fmean(each):.2f}",
         f"{percentile(each, 50):.2f}", f"{percentile(each, 95):.2f}"]
        for load, served in figures["latencies"].items()
        for name, each in served.items()
    ]  # fmt: skip
    columns = [f"load × the {BASIS}'s capacity", "torch threads", "mean s", "median s", "p95 s"]
    return [*shown, Table(f"{model}: random arrivals", columns, rows)]


def draw(model: str, figures: Figures, path: Path) -> None:
    """Plot the rates, and the latency over load."""
    medians = {name: statistics.median(rates) for name, rates in figures["rates"].items()}
    loads: Sequence[float] = list(figures["latencies"])
    with plots.sheet(path, 2, model) as (left, right):
        plots.draw_bars(left, medians, "images/s, saturated", OURS)
        lines = {name: [percentile(figures["latencies"][load][name], 95) for load in loads] for name in KINDS}
        plots.draw_lines(right, loads, lines, "p95 latency, s", f"load × the {BASIS}'s capacity", OURS)


if __name__ == "__main__":
    main()
