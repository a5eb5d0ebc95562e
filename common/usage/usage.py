"""Usage: the time and money spent on jobs, as delivered images and waste by reason.

An attempt's accelerator seconds are those of the images it delivered plus waste. Waste is named after the attempt's
outcome; within an attempt that succeeded it is the share of the images that the checker blocked, and what images took
beyond the most that they may be charged.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from common.states.jobs import Outcome, Verdict
from common.tables import Image
from common.usage.lines import DELIVERED, Line

K = TypeVar("K")
N = TypeVar("N", int, float, Decimal)

OVERRUN = "overrun"
"""Waste: what images took beyond the most that they may be charged."""

ROUNDING = 1e-6
"""Seconds that the sums of floats may be off."""


@dataclass
class Usage:
    """What one group of attempts used; times are accelerator seconds."""

    jobs: int = 0  # those whose first attempt is among them
    attempts: int = 0
    images: dict[str, int] = field(default_factory=dict)  # currency → how many were delivered
    delivered: float = 0.0
    running: float = 0.0  # of attempts that have not ended: neither delivered nor waste yet
    waste: dict[str, float] = field(default_factory=dict)
    amounts: dict[str, Decimal] = field(default_factory=dict)  # currency → what was charged

    @property
    def gpu_seconds(self) -> float:
        """Return all that was spent."""
        return self.delivered + self.running + sum(self.waste.values())

    def __add__(self, more: "Usage") -> "Usage":
        """Return what both groups used."""
        return Usage(
            jobs=self.jobs + more.jobs,
            attempts=self.attempts + more.attempts,
            images=_merge_totals(self.images, more.images, 0),
            delivered=self.delivered + more.delivered,
            running=self.running + more.running,
            waste=_merge_totals(self.waste, more.waste, 0.0),
            amounts=_merge_totals(self.amounts, more.amounts, Decimal(0)),
        )


def was_delivered(image: Image) -> bool:
    """Return whether an image was published by its press, and so is charged; those erased later were too.

    What was blocked first is not: it stays waste, whether a reviewer released it or it was erased while it waited.
    """
    return image.status in DELIVERED and image.released_at is None and image.verdict is not Verdict.BLOCK


def sum_lines(lines: Iterable[Line]) -> dict[K, Usage]:
    """Return the usage of each group of *lines*, in the order of their names."""
    groups: dict[K, Usage] = defaultdict(Usage)
    for line in lines:
        usage = groups[line.name]
        if line.images or line.amount:
            _add_images(usage, line)
        _add_attempts(usage, line)
    for usage in groups.values():
        usage.waste = {reason: seconds for reason, seconds in usage.waste.items() if seconds > ROUNDING}
    return {name: groups[name] for name in sorted(groups, key=str)}


def _merge_totals(one: dict[str, N], other: dict[str, N], zero: N) -> dict[str, N]:
    return {name: one.get(name, zero) + other.get(name, zero) for name in sorted({*one, *other})}


def _add_attempts(usage: Usage, line: Line) -> None:
    usage.jobs += line.jobs
    usage.attempts += line.attempts
    if line.outcome == Outcome.RUNNING:
        usage.running += line.gpu_seconds
    elif line.outcome:
        # What attempts that succeeded spent is entered under "blocked" whole; what was delivered comes off.
        reason = Outcome.BLOCKED if line.outcome == Outcome.SUCCEEDED else line.outcome
        usage.waste[str(reason)] = usage.waste.get(str(reason), 0.0) + line.gpu_seconds


def _add_images(usage: Usage, line: Line) -> None:
    usage.images[line.currency] = usage.images.get(line.currency, 0) + line.images
    usage.amounts[line.currency] = usage.amounts.get(line.currency, Decimal(0)) + line.amount
    usage.delivered += line.delivered
    usage.waste[OVERRUN] = usage.waste.get(OVERRUN, 0.0) + line.overrun
    usage.waste[str(Outcome.BLOCKED)] = usage.waste.get(Outcome.BLOCKED, 0.0) - line.delivered - line.overrun
