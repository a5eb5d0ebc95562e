"""Quotes: estimates the cost and duration of a campaign from its proofs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any, Self

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.campaigns import progress
from common.campaigns.spec import CampaignSpec, OnBlock
from common.db.clock import now_sql
from common.jobs.request import ImageRequest
from common.states.campaigns import PrintStatus
from common.states.jobs import Outcome
from common.tables import Attempt, Campaign, Image, Model, Press, Print
from common.usage.usage import was_delivered


@dataclass(frozen=True)
class Batch:
    """The batch size that was measured with the proofs, the one expected for the campaign, and what that saves."""

    measured: float
    expected: float
    cost: float = 1.0  # of an image in the expected batch, as a share of its cost in the measured one


def estimate_batch(session: Session, campaign: Campaign, spec: CampaignSpec, wanted: int) -> Batch:
    """Return the batch to expect for *wanted* images; the measured one, unless presses have profiled these sizes."""
    measured = _measure_parallelism(session, campaign)
    profiles = [_find_rates(session, arm.request) for arm in spec.arms]
    if not all(profiles):
        return Batch(measured, measured)
    expected = min(*(max(rates) for rates in profiles), max(1, wanted))
    costs = [interpolate_rate(rates, measured) / interpolate_rate(rates, expected) for rates in profiles]
    return Batch(measured, expected, min(1.0, fmean(costs))) if expected > measured else Batch(measured, measured)


def interpolate_rate(rates: Mapping[int, float], batch: float) -> float:
    """Return the rate of a *batch*, interpolated linearly between the two nearest that were profiled."""
    known = sorted(rates.items())
    for (fewer, slow), (more, fast) in pairwise(known):
        if fewer <= batch <= more:
            return slow + (fast - slow) * (batch - fewer) / (more - fewer)
    return known[0][1] if batch < known[0][0] else known[-1][1]


def _find_rates(session: Session, request: ImageRequest) -> dict[int, float]:
    """Return the newest profile of a request's model, by batch size; empty if it is of another image size."""
    card = session.scalar(select(Model.card).where(Model.name == request.model))
    if card is None or (card["default_width"], card["default_height"]) != (request.width, request.height):
        return {}
    newest = select(Press.rates).where(Press.rates.is_not(None), Press.stopped_at.is_(None))
    for rates in session.scalars(newest.order_by(Press.started_at.desc())):
        if rates is not None and request.model in rates:
            return {int(rows): rate for rows, rate in rates[request.model].items()}
    return {}


def _measure_parallelism(session: Session, campaign: Campaign) -> float:
    """Return how many attempts of the proofs ran at the same time, averaged over the duration of each."""
    mine = select(Print.job_id).where(Print.campaign_id == campaign.id, Print.is_proof)
    spans = [
        (attempt.press_id, attempt.started_at, attempt.ended_at)
        for attempt in session.scalars(
            select(Attempt).where(Attempt.job_id.in_(mine), Attempt.outcome == Outcome.SUCCEEDED)
        )
        if attempt.ended_at is not None
    ]
    together = [
        sum(
            max(timedelta(), min(ended, other_ended) - max(started, other_started)) / (ended - started)
            for other_press, other_started, other_ended in spans
            if other_press == press
        )
        for press, started, ended in spans
        if ended > started
    ]
    return fmean(together) if together else 1.0


LIVE = timedelta(minutes=2)
"""A press counts as running if its last heartbeat is at most this old."""

# Student's t, two-sided 90 %, by degrees of freedom from 1; beyond them the normal distribution's.
T90 = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753)
Z90 = 1.645


@dataclass(frozen=True)
class Interval:
    """A mean and its 90 % confidence interval, which a single measurement does not have."""

    mean: float
    low: float | None = None
    high: float | None = None

    def times(self, factor: float) -> "Interval":
        """Return the mean and its interval, multiplied by *factor*."""
        return Interval(
            self.mean * factor,
            None if self.low is None else self.low * factor,
            None if self.high is None else self.high * factor,
        )


@dataclass(frozen=True)
class Quote:
    """The estimated cost and duration of a campaign."""

    proofs: int  # images measured
    prints: int  # still to be made, or made as proofs; identical ones cost nothing
    gpu_seconds: Interval  # of one image
    amount: Interval  # of the whole campaign, in its currency
    hours: Interval  # of the whole campaign, on the presses that are running
    block_rate: float
    batch: float  # images expected to share a batch
    measured_batch: float  # images of proofs that shared one
    presses: int

    def as_json(self) -> dict[str, Any]:
        """Return the quote as it is stored."""
        return asdict(self)

    @classmethod
    def from_row(cls, stored: dict[str, Any]) -> Self:
        """Read a quote back from its JSON column."""
        spans = {name: Interval(**stored[name]) for name in ("gpu_seconds", "amount", "hours")}
        return cls(**(stored | spans))


def build_quote(session: Session, campaign: Campaign) -> Quote | None:
    """Return the quote based on the present proofs of *campaign*; None if no proof has an image."""
    images = _fetch_proof_images(session, campaign)
    printed = [image for image in images if was_delivered(image) and not image.is_fallback]
    if not printed:
        return None
    spec = CampaignSpec.from_row(campaign.spec)
    block_rate = 1 - len(printed) / len(images)
    wanted = progress.count_progress(session, campaign).total.wanted
    rolls, delivered = _estimate_delivery(spec, block_rate)
    batch = estimate_batch(session, campaign, spec, wanted)
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
    """Estimate the mean of *population* items from a *sample*, with its 90 % interval (Student's t)."""
    mean = fmean(sample)
    size = len(sample)
    if size < 2 or population < 1:  # noqa: PLR2004  (one measurement has no spread)
        return Interval(mean)
    t = T90[size - 2] if size - 2 < len(T90) else Z90
    margin = t * stdev(sample) * math.sqrt(1 / size + 1 / population)
    return Interval(mean, max(0.0, mean - margin), mean + margin)


def _estimate_delivery(spec: CampaignSpec, block_rate: float) -> tuple[float, float]:
    """Return the mean number of rolls per print, and the probability that a print is delivered."""
    if spec.on_block is not OnBlock.REROLL or block_rate >= 1:
        return 1.0, 1 - block_rate
    never = block_rate ** (spec.max_rerolls + 1)
    return (1 - never) / (1 - block_rate), 1 - never


def _fetch_proof_images(session: Session, campaign: Campaign) -> list[Image]:
    """Return the images of the proofs, those of every roll included."""
    mine = select(Print.job_id).where(
        Print.campaign_id == campaign.id, Print.is_proof, Print.status != PrintStatus.ERASED, Print.job_id.is_not(None)
    )
    return list(session.scalars(select(Image).where(Image.job_id.in_(mine))))


def _count_presses(session: Session, spec: CampaignSpec) -> int:
    """Return the number of running presses that offer all models of *spec*."""
    models = {arm.request.model for arm in spec.arms}
    up = session.scalars(
        select(Press.models).where(Press.stopped_at.is_(None), Press.heartbeat_at > now_sql(session, -LIVE))
    )
    return sum(models <= set(offered) for offered in up)
