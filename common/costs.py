"""Accelerator seconds into money."""

from decimal import Decimal

SECONDS_PER_HOUR = Decimal(3600)


def price(gpu_seconds: float, per_hour: Decimal) -> Decimal:
    """Return what *gpu_seconds* cost, exact to 10⁻⁹ of the currency's unit."""
    return (Decimal(repr(gpu_seconds)) * per_hour / SECONDS_PER_HOUR).quantize(Decimal("1e-9"))
