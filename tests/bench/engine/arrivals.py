"""Random arrivals: our engine against dynamic batching and against one at a time, on an emulated GPU.

Requests of mixed steps arrive as a Poisson process, at several multiples of what one at a time can serve. The engine is
the real one (``tests.bench.engine.continuous``); dynamic batching has the same costs, a window of 50 ms, batches of at
most 8 with equal steps, and nobody joins a batch that runs. All of this is played in virtual time, in which the host
costs nothing; a last run in real time tells how busy the device is kept when it does cost something.

Usage: ``python -m tests.bench.engine.arrivals [--orders 500] [--seeds 5] [--loads 0.5,0.8,1,1.3,5] [--real 60]``
"""

import argparse
import logging
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import structlog

from tests.bench import plots
from tests.bench.engine.continuous import serve_continuously, serve_in_real_time
from tests.bench.engine.queueing import Order, Served, capacity, draw_orders, serve_dynamically, serve_one_at_a_time
from tests.bench.outcome import FOLDER, Outcome, Table

Figures = dict[str, float]

OURS, DYNAMIC, ALONE = "continuous", "dynamic", "one at a time"
SERVERS: dict[str, Callable[[Sequence[Order]], Served]] = {
    ALONE: serve_one_at_a_time,
    DYNAMIC: serve_dynamically,
    OURS: serve_continuously,
}
REAL_LOAD = 1.3
REAL_SEED = 1


def main(words: list[str] | None = None) -> None:
    """Play all arrivals, print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=500, help="arrivals in each run")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each load")
    parser.add_argument("--loads", default="0.5,0.8,1,1.3,5", help="multiples of what one at a time can serve")
    parser.add_argument("--real", type=int, default=60, help="arrivals in the run in real time; 0 leaves it out")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    loads = [float(load) for load in given.loads.split(",")]
    runs = {load: play(load, given.orders, range(1, given.seeds + 1)) for load in loads}
    medians = {load: {name: middle(run) for name, run in served.items()} for load, served in runs.items()}
    real = play_in_real_time(given.real) if given.real else {}
    figures = {"one_at_a_time_capacity": capacity(), "medians": medians, "runs": runs, "real_time": real}
    options = {"orders": given.orders, "seeds": given.seeds, "loads": given.loads, "real": given.real}
    outcome = Outcome("arrivals", options, tables(medians, real), figures, notes(real))
    outcome.write(given.out, partial(draw, medians))


def play(load: float, count: int, seeds: Sequence[int]) -> dict[str, list[Figures]]:
    """Return what each server made of the same arrivals, one entry for each seed."""
    played: dict[str, list[Figures]] = {name: [] for name in SERVERS}
    for seed in seeds:
        orders = draw_orders(count, load * capacity(), seed)
        for name, serve in SERVERS.items():
            played[name].append(serve(orders).figures())
    return played


def play_in_real_time(count: int) -> Figures:
    """Return how the engine fared by the clock outside, and what virtual time says of the same arrivals."""
    orders = draw_orders(count, REAL_LOAD * capacity(), REAL_SEED)
    served, seconds_with_work = serve_in_real_time(orders)
    expected = serve_continuously(orders).figures()
    measured = served.figures() | {"busy_share_with_work": served.busy / seconds_with_work}
    return measured | {f"virtual_{name}": value for name, value in expected.items()}


def middle(runs: Sequence[Figures]) -> Figures:
    """Return the median of each figure."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def tables(medians: dict[float, dict[str, Figures]], real: Figures) -> list[Table]:
    """Return the figures as they are to be read."""
    rows = []
    for load, served in medians.items():
        for name, run in served.items():
            against = run["p95"] / served[DYNAMIC]["p95"]
            cells = [f"{run['throughput']:.3f}", f"{run['mean']:.2f}", f"{run['p95']:.2f}", f"{against:.2f}"]
            rows.append([f"{load:g} × {name}", *cells, f"{run['busy_share']:.3f}"])
    columns = ["load × capacity of one at a time", "images/s", "mean s", "p95 s", "p95 ÷ dynamic's", "busy share"]
    found = [Table("Random arrivals on an emulated A100, Stable Diffusion 1.5 at 512 px, medians", columns, rows)]
    if real:
        shown = [
            [name, f"{real[name]:.3f}", f"{real[f'virtual_{name}']:.3f}"] for name in ("throughput", "mean", "p95")
        ]
        shown.append(["busy share while it had work", f"{real['busy_share_with_work']:.4f}", ""])
        found.append(Table(f"The engine in real time, load {REAL_LOAD}", ["", "real time", "virtual time"], shown))
    return found


def notes(real: Figures) -> list[str]:
    """Return what a reader should know of the table."""
    said = ["Costs of a step: diffusers' published A100 table; see tests/bench/engine/emulated.py."]
    if real:
        said.append("In virtual time the host costs nothing; the busy share that counts is the one in real time.")
    return said


def draw(medians: dict[float, dict[str, Figures]], path: Path) -> None:
    """Plot latency and throughput over load."""
    loads = list(medians)
    few = [load for load in loads if load <= REAL_LOAD] or loads
    with plots.sheet(path, 3, "Random arrivals on an emulated A100, mixed steps") as panels:
        for panel, (figure, unit, shown) in zip(
            panels,
            (("p95", "p95 latency, s", few), ("mean", "mean latency, s", few), ("throughput", "images/s", loads)),
            strict=True,
        ):
            lines = {name: [medians[load][name][figure] for load in shown] for name in SERVERS}
            most = None if figure == "throughput" else 1.2 * max(lines[DYNAMIC])
            plots.draw_lines(panel, shown, lines, unit, "load × capacity of one at a time", OURS, most=most)


if __name__ == "__main__":
    main()
