"""Feeding: a campaign has a window of jobs in the queue, and the next rows follow as these are done.

Nothing is written for a row before its turn. Each call is one transaction that holds the campaign's row, so that two
clerks, or one that dies at any point, can neither skip a row nor print one twice.
"""

from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.campaigns import digest, rendering, webhook_events
from common.campaigns.printing import budget, prints
from common.campaigns.spec import CampaignSpec
from common.campaigns.status import move_campaign
from common.db.clock import now_sql
from common.failpoints import failpoint
from common.jobs import key_policy, lifecycle
from common.jobs.spec import JobSpec
from common.settings import Settings
from common.states.campaigns import CampaignStatus, ListStatus, PrintStatus
from common.states.jobs import Priority
from common.tables import Campaign, Print, Recipient, RecipientList

WINDOW = 400
"""Jobs that one campaign has in hand: enough for many presses between two rounds of the clerk, few to take back."""

FIRST_WINDOW = 100
"""How many images are submitted before the start is answered, which must be quick; the clerk submits the rest."""

MOST_ROW_FETCHES = 8
"""How often rows are taken in one call while all that comes of them are copies."""

OUT_OF_BUDGET = "budget"
NOT_AS_APPROVED = "not_as_approved"


def submit_next_prints(session: Session, campaign: Campaign, settings: Settings, most: int = WINDOW) -> int:
    """Order the next prints of a running *campaign*, which is locked, and *most* at most; return how many.

    It is completed here when nothing is left to do, and held when the next print would not fit the budget, or when
    what it would print is not what was approved: the model may have changed, or the safety policy.
    """
    if not _is_as_approved(session, campaign, settings):
        _hold_campaign(session, campaign, NOT_AS_APPROVED)
        return 0
    spec = CampaignSpec.from_row(campaign.spec)
    budget.estimate_reservation(session, campaign, spec)
    in_hand = prints.count_prints(session, campaign, PrintStatus.ORDERED)
    room = min(most, WINDOW - in_hand)
    waiting = _create_waiting_prints(session, campaign, spec, room) if room > 0 else 0
    wanted = min(room, waiting)
    affordable, reservation = budget.compute_affordable(campaign, max(wanted, 0))
    ordered = submit_prints(session, campaign, spec, affordable, reservation) if affordable else 0
    if not in_hand and not ordered:
        _complete_or_hold(session, campaign, waiting)
    failpoint("feeding")
    return ordered


def submit_prints(
    session: Session,
    campaign: Campaign,
    spec: CampaignSpec,
    most: int,
    reservation: Decimal,
    *,
    priority: Priority | None = None,
) -> int:
    """Order up to *most* of the prints that wait, holding *reservation* for each; return how many."""
    rows = session.execute(prints.select_waiting(campaign, most)).all()
    if not rows or not budget.hold_amount(session, campaign, reservation * len(rows)):
        return 0
    specs = [_build_job_spec(campaign, spec, made, to, reservation, priority) for made, to in rows]
    lifecycle.submit_jobs(session, specs, max_queued=0)
    prints.update_prints(
        session,
        [
            {
                "id": made.id,
                "status": PrintStatus.ORDERED,
                "job_id": placed.id,
                "seed": placed.request.seed,
                "held": reservation,
                "error_code": None,
                "error_message": None,
                "error_retryable": None,
            }
            for (made, _), placed in zip(rows, specs, strict=True)
        ],
    )
    return len(rows)


def _create_waiting_prints(session: Session, campaign: Campaign, spec: CampaignSpec, room: int) -> int:
    """See that enough prints wait to fill *room*, as long as there are rows; return how many do."""
    waiting = prints.count_prints(session, campaign, PrintStatus.WAITING)
    for _ in range(MOST_ROW_FETCHES):
        if waiting >= room:
            break
        rows = -(-(room - waiting) // spec.images_per_recipient)
        recipients = prints.fetch_next_recipients(session, campaign, rows)
        if not recipients:
            break
        waiting += prints.create_prints(session, campaign, spec, recipients)
    return waiting


def _complete_or_hold(session: Session, campaign: Campaign, waiting: int) -> None:
    if waiting:
        _hold_campaign(session, campaign, OUT_OF_BUDGET)
    elif not prints.has_unfed_rows(session, campaign):
        move_campaign(session, campaign, CampaignStatus.COMPLETED, finished_at=now_sql(session))
        webhook_events.publish_campaign_event(session, campaign)


def _hold_campaign(session: Session, campaign: Campaign, reason: str) -> None:
    move_campaign(session, campaign, CampaignStatus.HELD, held_reason=reason)
    webhook_events.publish_campaign_event(session, campaign)


def _is_as_approved(session: Session, campaign: Campaign, settings: Settings) -> bool:
    """Return whether what the campaign would print is what the last approval names."""
    named = session.scalar(
        select(RecipientList.approved_digest)
        .where(RecipientList.campaign_id == campaign.id, RecipientList.status == ListStatus.CURRENT)
        .where(RecipientList.approved_at.is_not(None))
        .order_by(RecipientList.approved_at.desc(), RecipientList.number.desc())
        .limit(1)
    )
    return named == digest.compute_campaign_digest(session, campaign, settings, approved=True)


def _build_job_spec(
    campaign: Campaign, spec: CampaignSpec, made: Print, to: Recipient, reservation: Decimal, priority: Priority | None
) -> JobSpec:
    arm = spec.arm(made.arm)
    request, _ = rendering.build_request(spec, campaign.salt, to, made.index, made.rerolls)
    request = request.model_copy(update={"fallback_image": spec.fallback_image})
    request = key_policy.tighten_request(request, campaign.safety)
    return JobSpec(
        owner=campaign.owner,
        key_id=campaign.key_id,
        request=request,
        priority=priority or campaign.priority,
        campaign_id=campaign.id,
        recipient_id=to.recipient_id,
        style_version=arm.style,
        palette=arm.palette or None,
        max_amount=reservation,
    )
