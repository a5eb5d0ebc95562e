"""The quote: what the whole campaign will cost and how long it will take, by what its proofs did."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from statistics import fmean, stdev
from typing import Any, Self

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.campaigns import batches, counters
from common.campaigns.settling import is_stand_in
from common.campaigns.spec import CampaignSpec, OnBlock
from common.db.clock import now
from common.tables import Campaign, Image, Press, Print
from common.tables.campaign_states import PrintStatus
from common.usage.usage import was_delivered

LIVE = timedelta(minutes=2)
"""A press that was heard of so lately is counted on."""

# Student's t, two-sided 90 %, by degrees of freedom from 1; beyond them the normal distribution's.
T90 = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753)
Z90 = 1.645


@dataclass(frozen=True)
class Interval:
    """A mean, and the span that holds the truth in nine of ten cases; no span from a single measurement."""

    mean: float
    low: float | None = None
    high: float | None = None

    def times(self, factor: float) -> "Interval":
        """Return all of it multiplied."""
        return Interval(
            self.mean * factor,
            None if self.low is None else self.low * factor,
            None if self.high is None else self.high * factor,
        )


@dataclass(frozen=True)
class Quote:
    """What a campaign will cost and take."""

    proofs: int  # pictures measured
    prints: int  # that are still to be made or were made as proofs; those that turn out identical cost nothing
    gpu_seconds: Interval  # of one picture
    amount: Interval  # of the whole, in the campaign's currency
    hours: Interval  # of the whole, on the presses that are up
    block_rate: float
    batch: float  # pictures that will be stepped together
    measured_batch: float  # pictures that were, among the proofs
    presses: int

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return asdict(self)

    @classmethod
    def from_row(cls, stored: dict[str, Any]) -> Self:
        """Read a quote back from its JSON column."""
        spans = {name: Interval(**stored[name]) for name in ("gpu_seconds", "amount", "hours")}
        return cls(**(stored | spans))


def make(session: Session, campaign: Campaign) -> Quote | None:
    """Return the quote that the proofs of *campaign* give, as they stand; None if none was printed."""
    images = _images(session, campaign)
    printed = [image for image in images if was_delivered(image) and not is_stand_in(image)]
    if not printed:
        return None
    spec = CampaignSpec.from_row(campaign.spec)
    block_rate = 1 - len(printed) / len(images)
    wanted = counters.count(session, campaign).total.wanted
    rolls, delivered = _expect(spec, block_rate)
    batch = batches.expect(session, campaign, spec, wanted)
    seconds = estimate_mean([image.gpu_seconds + image.overrun_seconds for image in printed], wanted).times(batch.cost)
    amounts = estimate_mean([float(image.amount) for image in printed], wanted).times(batch.cost)
    presses = _count_presses(session, spec)
    return Quote(
        proofs=len(printed),
        prints=wanted,
        gpu_seconds=seconds,
        amount=amounts.times(wanted * delivered),
        hours=seconds.times(wanted * rolls / 3600 / max(1, presses)),
        block_rate=block_rate,
        batch=batch.expected,
        measured_batch=batch.measured,
        presses=presses,
    )


def estimate_mean(sample: Sequence[float], population: int) -> Interval:
    """Return the mean of *population* by a *sample* of it, with its 90 % interval (Student's t)."""
    mean = fmean(sample)
    size = len(sample)
    if size < 2 or population < 1:  # noqa: PLR2004  (one measurement has no spread)
        return Interval(mean)
    t = T90[size - 2] if size - 2 < len(T90) else Z90
    margin = t * stdev(sample) * math.sqrt(1 / size + 1 / population)
    return Interval(mean, max(0.0, mean - margin), mean + margin)


def _expect(spec: CampaignSpec, block_rate: float) -> tuple[float, float]:
    """Return how often a print is rolled on average, and with what chance it is delivered in the end."""
    if spec.on_block is not OnBlock.REROLL or block_rate >= 1:
        return 1.0, 1 - block_rate
    never = block_rate ** (spec.max_rerolls + 1)
    return (1 - never) / (1 - block_rate), 1 - never


def _images(session: Session, campaign: Campaign) -> list[Image]:
    """Return what was printed of the proofs, every roll of it."""
    mine = select(Print.job_id).where(
        Print.campaign_id == campaign.id, Print.is_proof, Print.status != PrintStatus.ERASED, Print.job_id.is_not(None)
    )
    return list(session.scalars(select(Image).where(Image.job_id.in_(mine))))


def _count_presses(session: Session, spec: CampaignSpec) -> int:
    """Return how many presses are up that offer the models of *spec*."""
    models = {arm.request.model for arm in spec.arms}
    up = session.scalars(
        select(Press.models).where(Press.stopped_at.is_(None), Press.heartbeat_at > now(session, -LIVE))
    )
    return sum(models <= set(offered) for offered in up)
