"""In what company proofs were printed, in what company the rest will be, and what that makes of their cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from statistics import fmean

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.campaigns.spec import CampaignSpec
from common.jobs.request import ImageRequest
from common.tables import Attempt, Campaign, Model, Press, Print
from common.tables.states import Outcome


@dataclass(frozen=True)
class Batch:
    """How many pictures are stepped together: of the proofs, and of the whole; and how much less each then costs."""

    measured: float
    expected: float
    cost: float = 1.0  # of a picture in the expected batch, as a share of one in the measured


def expect(session: Session, campaign: Campaign, spec: CampaignSpec, wanted: int) -> Batch:
    """Return what to expect of *wanted* pictures; without a press's profile of the very sizes, the same as measured."""
    measured = _measure(session, campaign)
    profiles = [_find_rates(session, arm.request) for arm in spec.arms]
    if not all(profiles):
        return Batch(measured, measured)
    expected = min(*(max(rates) for rates in profiles), max(1, wanted))
    costs = [rate_at(rates, measured) / rate_at(rates, expected) for rates in profiles]
    return Batch(measured, expected, min(1.0, fmean(costs))) if expected > measured else Batch(measured, measured)


def rate_at(rates: Mapping[int, float], batch: float) -> float:
    """Return the rate of a *batch*, in a line between the two that were profiled beside it."""
    known = sorted(rates.items())
    for (fewer, slow), (more, fast) in pairwise(known):
        if fewer <= batch <= more:
            return slow + (fast - slow) * (batch - fewer) / (more - fewer)
    return known[0][1] if batch < known[0][0] else known[-1][1]


def _find_rates(session: Session, request: ImageRequest) -> dict[int, float]:
    """Return the newest profile of a request's model, if it is of its size; nothing where there is none."""
    card = session.scalar(select(Model.card).where(Model.name == request.model))
    if card is None or (card["default_width"], card["default_height"]) != (request.width, request.height):
        return {}
    newest = select(Press.rates).where(Press.rates.is_not(None), Press.stopped_at.is_(None))
    for rates in session.scalars(newest.order_by(Press.started_at.desc())):
        if rates is not None and request.model in rates:
            return {int(rows): rate for rows, rate in rates[request.model].items()}
    return {}


def _measure(session: Session, campaign: Campaign) -> float:
    """Return how many of the proofs' attempts were in hand at once, on average over the time of each."""
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
