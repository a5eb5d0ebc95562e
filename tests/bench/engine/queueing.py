"""Requests that arrive at random, and what a server made of them: the two schedulers that batch less than ours.

Both have the same costs as the engine has in ``tests.bench.engine.emulated``: the difference is the scheduling alone.
"""

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.engine.emulated import DECODE_SECONDS, ENCODE_SECONDS, step_seconds

STEPS = (20, 25, 30, 40, 50)
LARGEST_BATCH = 8
WINDOW_SECONDS = 0.05


@dataclass(frozen=True)
class Order:
    """One request: when it comes, in seconds, and how many steps it takes."""

    number: int
    at: float
    steps: int


@dataclass(frozen=True)
class Served:
    """What became of the orders: when each ended, and how long the device was at work."""

    orders: Sequence[Order]
    ended: Sequence[float]  # by number
    busy: float

    @property
    def latencies(self) -> list[float]:
        """Return how long each order took, from its coming to its end."""
        return [end - order.at for order, end in zip(self.orders, self.ended, strict=True)]

    @property
    def elapsed(self) -> float:
        """Return the seconds from the first order to the last end."""
        return max(self.ended) - self.orders[0].at

    def figures(self) -> dict[str, float]:
        """Return images per second, the mean and the 95th percentile of the latency, and the busy share."""
        latencies = self.latencies
        return {
            "throughput": len(self.orders) / self.elapsed,
            "mean": statistics.fmean(latencies),
            "p95": percentile(latencies, 95),
            "busy_share": self.busy / self.elapsed,
        }


def percentile(values: Sequence[float], share: int) -> float:
    """Return the smallest value that *share* % of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def alone_seconds(steps: float) -> float:
    """Return how long one picture takes by itself."""
    return ENCODE_SECONDS + steps * step_seconds(1) + DECODE_SECONDS


def capacity() -> float:
    """Return the pictures per second that one at a time can make of mixed steps."""
    return 1 / alone_seconds(statistics.fmean(STEPS))


def draw_orders(count: int, rate: float, seed: int) -> list[Order]:
    """Return *count* orders that arrive as a Poisson process of *rate* per second, their steps mixed evenly."""
    dice = random.Random(seed)
    at = 0.0
    orders = []
    for number in range(count):
        at += dice.expovariate(rate)
        orders.append(Order(number, at, dice.choice(STEPS)))
    return orders


def serve_one_at_a_time(orders: Sequence[Order]) -> Served:
    """Take the orders as they come, each alone."""
    free, busy = 0.0, 0.0
    ended = []
    for order in orders:
        took = alone_seconds(order.steps)
        free, busy = max(free, order.at) + took, busy + took
        ended.append(free)
    return Served(orders, ended, busy)


def serve_dynamically(orders: Sequence[Order]) -> Served:
    """Batch as servers of whole requests do: the oldest order and those of equal steps that come within its window.

    A batch starts when its window has passed or it is full, and nobody joins it after that.
    """
    waiting = list(orders)
    ended = [0.0] * len(orders)
    free, busy = 0.0, 0.0
    while waiting:
        oldest = waiting[0]
        equal = [order for order in waiting if order.steps == oldest.steps][:LARGEST_BATCH]
        closes = max(free, oldest.at + WINDOW_SECONDS)
        batch = [order for order in equal if order.at <= closes]
        if len(batch) == LARGEST_BATCH:
            closes = max(free, batch[-1].at)
        took = len(batch) * (ENCODE_SECONDS + DECODE_SECONDS) + oldest.steps * step_seconds(len(batch))
        free, busy = closes + took, busy + took
        for order in batch:
            ended[order.number] = free
            waiting.remove(order)
    return Served(orders, ended, busy)
