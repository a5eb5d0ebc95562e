"""Budget reservations: the maximum cost of a print is held before it is ordered, then settled at its actual cost."""

from collections.abc import Iterable
from decimal import Decimal

from sqlalchemy import literal, select, update
from sqlalchemy.orm import Session

from common.campaigns.spec import CampaignSpec
from common.db.types import Money, round_money, split_money
from common.errors import PressroomError
from common.jobs.request import ImageRequest
from common.tables import Campaign, Image, Job
from common.usage.lines import WAS_DELIVERED

MARGIN = Decimal("1.5")
"""What is held, as a multiple of the highest known cost: an image alone in its batch costs more than in a full one."""

PROBE_PRINTS = 4
"""How many prints are submitted at once while their cost is unknown; each holds an equal share of what is left."""

RECENT_IMAGES = 500
SIMILAR_IMAGES = 50


class BudgetTooLowError(PressroomError):
    """The budget must not be less than the amount already spent and held."""

    code = "budget_too_low"


def compute_remaining(campaign: Campaign) -> Decimal:
    """Return what is neither spent nor held."""
    return campaign.budget - campaign.spent - campaign.held


def compute_affordable(campaign: Campaign, most: int) -> tuple[int, Decimal]:
    """Return how many prints, at most *most*, may be submitted now, and the amount to hold for each."""
    left = compute_remaining(campaign)
    if campaign.reservation is None:
        share = split_money(max(left, Decimal(0)), PROBE_PRINTS)
        sounded = PROBE_PRINTS if share > 0 and not campaign.held else 0
        return min(most, sounded), share
    if campaign.reservation == 0:
        return (most if left >= 0 else 0), campaign.reservation
    return max(0, min(most, int(left // campaign.reservation))), campaign.reservation


def hold_amount(session: Session, campaign: Campaign, amount: Decimal) -> bool:
    """Hold *amount* of the remaining budget; return False if it is not sufficient."""
    more = literal(amount, Money())
    held = session.execute(
        update(Campaign)
        .where(Campaign.id == campaign.id, Campaign.spent + Campaign.held + more <= Campaign.budget)
        .values(held=Campaign.held + more)
        .returning(Campaign.id)
        .execution_options(synchronize_session=False)
    ).all()
    session.refresh(campaign, ["held", "spent"])
    return bool(held)


def settle_amount(session: Session, campaign: Campaign, freed: Decimal, spent: Decimal) -> None:
    """Release what was held, and record what of it was spent."""
    session.execute(
        update(Campaign)
        .where(Campaign.id == campaign.id)
        .values(held=Campaign.held - literal(freed, Money()), spent=Campaign.spent + literal(spent, Money()))
        .execution_options(synchronize_session=False)
    )
    session.refresh(campaign, ["held", "spent"])


def change_budget(session: Session, campaign: Campaign, amount: Decimal) -> None:
    """Change the budget of *campaign*; raise BudgetTooLowError if more is spent or held already."""
    changed = session.execute(
        update(Campaign)
        .where(Campaign.id == campaign.id, Campaign.spent + Campaign.held <= literal(amount, Money()))
        .values(budget=amount)
        .returning(Campaign.id)
        .execution_options(synchronize_session=False)
    ).all()
    if not changed:
        raise BudgetTooLowError
    session.refresh(campaign, ["budget"])


def estimate_reservation(session: Session, campaign: Campaign, spec: CampaignSpec) -> None:
    """Set the reservation from recent images like those of each arm; leave it open if there are none."""
    if campaign.reservation is not None:
        return
    costs = [_find_dearest_cost(session, arm.request, campaign.currency) for arm in spec.arms]
    if all(cost is not None for cost in costs):
        campaign.reservation = _add_margin(cost for cost in costs if cost is not None)
        session.flush()


def update_reservation(session: Session, campaign: Campaign, images: Iterable[Image]) -> None:
    """Set the reservation from the first images, and raise it if one would have cost more.

    Nothing is held for prints that are free, until one is not: then their cost is unknown again.
    """
    costs = [_compute_full_cost(image) for image in images]
    dearest = max((cost for cost in costs if cost is not None), default=Decimal(0))
    if dearest > (campaign.reservation or 0):
        campaign.reservation = _add_margin([dearest])
    elif None in costs and not campaign.reservation:
        campaign.reservation = None
    elif costs and campaign.reservation is None:
        campaign.reservation = Decimal(0)
    session.flush()


def _find_dearest_cost(session: Session, request: ImageRequest, currency: str) -> Decimal | None:
    recent = (
        select(Image.id).where(Image.storage_key.is_not(None)).order_by(Image.created_at.desc()).limit(RECENT_IMAGES)
    )
    alike = session.scalars(
        select(Image)
        .join(Job, Job.id == Image.job_id)
        .where(Image.id.in_(recent), Job.lane == request.lane, Job.steps == request.steps, Image.currency == currency)
        # What nobody is charged for, such as a stand-in for a blocked picture, or was as long as printing was free,
        # tells nothing of the cost.
        .where(Image.amount > 0, WAS_DELIVERED)
        .limit(SIMILAR_IMAGES)
    ).all()
    return max((cost for image in alike if (cost := _compute_full_cost(image)) is not None), default=None)


def _compute_full_cost(image: Image) -> Decimal | None:
    """Return what an image would have cost had nothing capped it; None where it was capped at nothing."""
    if image.amount == 0 and image.overrun_seconds > 0:
        return None
    if image.overrun_seconds <= 0 or image.gpu_seconds <= 0:
        return image.amount
    return image.amount * Decimal(repr(1 + image.overrun_seconds / image.gpu_seconds))


def _add_margin(costs: Iterable[Decimal]) -> Decimal:
    return round_money(max(costs) * MARGIN)
