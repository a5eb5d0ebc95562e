"""Converts accelerator seconds to money."""

from dataclasses import dataclass
from decimal import Decimal

from common.db.types import round_money

SECONDS_PER_HOUR = Decimal(3600)


def price_gpu_seconds(gpu_seconds: float, per_hour: Decimal) -> Decimal:
    """Return what *gpu_seconds* cost, exact to 10⁻⁹ of the currency's unit."""
    return round_money(Decimal(repr(gpu_seconds)) * per_hour / SECONDS_PER_HOUR)


@dataclass(frozen=True)
class Charge:
    """What an image costs, and the seconds that it took apart: those that are charged, and those that are not."""

    amount: Decimal
    gpu_seconds: float
    overrun_seconds: float = 0.0


def compute_charge(gpu_seconds: float, per_hour: Decimal, most: Decimal | None) -> Charge:
    """Return what *gpu_seconds* are charged, at most *most* if that is given; the rest of the seconds is overrun."""
    amount = price_gpu_seconds(gpu_seconds, per_hour)
    if most is None or amount <= most:
        return Charge(amount, gpu_seconds)
    charged = gpu_seconds * float(most / amount)
    return Charge(most, charged, gpu_seconds - charged)
