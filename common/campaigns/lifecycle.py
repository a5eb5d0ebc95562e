"""The life of a campaign: approve, start, pause, resume, cancel, retry and budget changes."""

from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, select, update
from sqlalchemy.orm import Session

from common.access import audit
from common.access.audit import AuditObject, Caller
from common.campaigns import digest as campaign_digest, queries, webhook_events
from common.campaigns.printing import budget, ordering, prints
from common.campaigns.printing.ordering import NOT_AS_APPROVED
from common.campaigns.recipients.lists import EXTENDABLE
from common.campaigns.status import move_campaign
from common.db.clock import fetch_now, now_sql
from common.errors import IllegalTransitionError, PressroomError
from common.jobs import lifecycle
from common.settings import Settings
from common.states.audit import Act, ObjectKind
from common.states.campaigns import CampaignStatus, PrintStatus
from common.tables import Campaign, Print


class DigestMismatchError(PressroomError):
    """The campaign has changed since this digest was computed."""

    code = "digest_mismatch"


def approve_campaign(session: Session, campaign: Campaign, digest: str, caller: Caller, settings: Settings) -> None:
    """Approve *campaign*, which is locked, with all its rows, on behalf of *caller*.

    Rows that were appended after an earlier approval need another one. A campaign that was held because it differs from
    what was approved can be approved again and then resumed. Raises DigestMismatchError, and IllegalTransitionError if
    there is nothing to approve.
    """
    is_again = campaign.status is CampaignStatus.HELD and campaign.held_reason == NOT_AS_APPROVED
    lists = queries.list_current_lists(session, campaign.id)
    waiting = [each for each in lists if each.approved_at is None or is_again]
    is_first = campaign.status is CampaignStatus.READY
    if not (is_first or campaign.status in EXTENDABLE) or not waiting:
        raise IllegalTransitionError(f"The campaign is {campaign.status}; it has nothing to approve.")
    campaign.digest = campaign_digest.compute_campaign_digest(session, campaign, settings)
    if digest != campaign.digest:
        raise DigestMismatchError("The campaign has changed since this digest was computed; fetch it again.")
    for each in waiting:
        each.approved_at, each.approved_by = fetch_now(session), caller.key_id
    session.flush()
    approved = campaign_digest.compute_campaign_digest(session, campaign, settings, approved=True)
    for each in waiting:
        each.approved_digest = approved
    if is_first:
        session.flush()
        move_campaign(session, campaign, CampaignStatus.APPROVED)
    changed = AuditObject(ObjectKind.CAMPAIGN, campaign.id)
    after = describe_campaign(campaign) | {"digest": digest, "lists": [each.number for each in waiting]}
    audit.record_event(session, caller, Act.CAMPAIGN_APPROVED, changed, after=after)


def describe_campaign(campaign: Campaign) -> dict[str, Any]:
    """Return what the audit trail says of a campaign before and after an act."""
    return {"status": campaign.status, "budget": f"{campaign.budget.normalize():f}", "links": campaign.has_links}


class RetryScope(StrEnum):
    """Which prints are retried."""

    FAILED = "failed"
    BLOCKED = "blocked"
    RETRYABLE = "retryable"  # failed with a transient error


_FAILED = Print.status == PrintStatus.FAILED
_RETRIED: dict[RetryScope | None, ColumnElement[bool]] = {
    None: Print.status.in_((PrintStatus.FAILED, PrintStatus.BLOCKED, PrintStatus.CANCELED)),
    RetryScope.FAILED: _FAILED,
    RetryScope.BLOCKED: Print.status == PrintStatus.BLOCKED,
    RetryScope.RETRYABLE: and_(_FAILED, Print.error_retryable.is_(True)),
}


def start_campaign(session: Session, campaign: Campaign, settings: Settings) -> None:
    """Start an approved campaign, or a completed one whose appended rows were approved.

    Its first jobs are queued when this returns.
    """
    is_supplied = campaign.status is CampaignStatus.COMPLETED and prints.has_unfed_rows(session, campaign)
    if campaign.status is not CampaignStatus.APPROVED and not is_supplied:
        raise IllegalTransitionError(f"The campaign is {campaign.status} and cannot be started.")
    _run_campaign(session, campaign, settings)


def resume_campaign(session: Session, campaign: Campaign, settings: Settings) -> None:
    """Have a campaign go on that is paused or held; one that still is out of budget is held again."""
    if campaign.status not in (CampaignStatus.PAUSED, CampaignStatus.HELD):
        raise IllegalTransitionError(f"The campaign is {campaign.status} and cannot be resumed.")
    _run_campaign(session, campaign, settings)


def pause_campaign(session: Session, campaign: Campaign) -> None:
    """Take back what no press has begun; what is being printed is finished, and charged."""
    move_campaign(session, campaign, CampaignStatus.PAUSED, held_reason=None)
    cancel_campaign_jobs(session, campaign)


def cancel_campaign(session: Session, campaign: Campaign) -> None:
    """Print nothing more, for good; what is being printed is finished, and charged."""
    move_campaign(session, campaign, CampaignStatus.CANCELED, finished_at=now_sql(session), held_reason=None)
    _end_waiting_prints(session, campaign)


def expire_campaign(session: Session, campaign: Campaign) -> None:
    """Give up what its deadline has overtaken."""
    move_campaign(session, campaign, CampaignStatus.EXPIRED, finished_at=now_sql(session), held_reason=None)
    _end_waiting_prints(session, campaign)
    webhook_events.publish_campaign_event(session, campaign)


def cancel_returned_prints(session: Session, campaign: Campaign) -> None:
    """Take back what came back to the queue, or to wait for another roll, after the campaign was stopped."""
    if campaign.status.is_over:
        _end_waiting_prints(session, campaign)
    else:
        cancel_campaign_jobs(session, campaign)


def is_approved_budget(campaign: Campaign) -> bool:
    """Return whether somebody has approved the budget of *campaign*, so that to raise it is to approve more."""
    return campaign.status in EXTENDABLE


def change_budget(session: Session, campaign: Campaign, amount: Decimal, settings: Settings) -> None:
    """Set the budget, which may not be less than what is spent and held; a campaign that was held for it goes on."""
    if campaign.status.is_over and campaign.status is not CampaignStatus.COMPLETED:
        raise IllegalTransitionError(f"The campaign is {campaign.status}; its budget cannot be changed.")
    grows = amount > campaign.budget
    budget.change_budget(session, campaign, amount)
    if grows and campaign.status is CampaignStatus.HELD and campaign.held_reason == ordering.OUT_OF_BUDGET:
        _run_campaign(session, campaign, settings)


def retry_prints(session: Session, campaign: Campaign, only: RetryScope | None, settings: Settings) -> int:
    """Retry failed, blocked or canceled prints; return how many. A completed campaign runs again for them.

    Blocked prints are retried with their next seed.
    """
    stands = (CampaignStatus.RUNNING, CampaignStatus.PAUSED, CampaignStatus.HELD, CampaignStatus.COMPLETED)
    if campaign.status not in stands:
        raise IllegalTransitionError(f"The campaign is {campaign.status}; it has nothing to retry.")
    again = _update_prints(
        session,
        campaign,
        and_(_RETRIED[only], Print.digest.is_not(None)),  # a row that cannot be rendered never will be
        status=PrintStatus.WAITING,
        rerolls=Print.rerolls + case((Print.status == PrintStatus.BLOCKED, 1), else_=0),
        image_id=None,
        error_code=None,
        error_message=None,
        error_retryable=None,
    )
    if again and campaign.status is CampaignStatus.COMPLETED:
        _run_campaign(session, campaign, settings)
    return again


def cancel_campaign_jobs(session: Session, campaign: Campaign) -> None:
    """Cancel the queued jobs of *campaign*, and release what was held for them."""
    ordered = session.execute(
        select(Print.job_id, Print.id, Print.held).where(
            Print.campaign_id == campaign.id, Print.status == PrintStatus.ORDERED, Print.original_id.is_(None)
        )
    ).all()
    taken = set(lifecycle.cancel_queued_jobs(session, [row.job_id for row in ordered]))
    back = [row for row in ordered if row.job_id in taken]
    budget.settle_amount(session, campaign, sum((row.held for row in back), Decimal(0)), Decimal(0))
    prints.update_prints(session, [{"id": row.id, "status": PrintStatus.WAITING, "held": Decimal(0)} for row in back])


def _run_campaign(session: Session, campaign: Campaign, settings: Settings) -> None:
    if campaign.deadline_at is not None and campaign.deadline_at <= fetch_now(session):
        raise IllegalTransitionError("The campaign's deadline has passed.")
    move_campaign(
        session,
        campaign,
        CampaignStatus.RUNNING,
        held_reason=None,
        finished_at=None,
        started_at=campaign.started_at or now_sql(session),
    )
    ordering.submit_next_prints(session, campaign, settings, most=ordering.FIRST_WINDOW)


def _end_waiting_prints(session: Session, campaign: Campaign) -> None:
    """End prints without a job: with their best image so far, or canceled if they have none."""
    cancel_campaign_jobs(session, campaign)
    waits = Print.status == PrintStatus.WAITING
    _update_prints(session, campaign, and_(waits, Print.image_id.is_not(None)), status=PrintStatus.PRINTED)
    _update_prints(session, campaign, and_(waits, Print.image_id.is_(None)), status=PrintStatus.CANCELED)


def _update_prints(session: Session, campaign: Campaign, chosen: ColumnElement[bool], **values: Any) -> int:
    """Change the prints of *campaign* that are *chosen*, and their copies; return how many, copies left out."""
    changed = session.scalars(
        update(Print)
        .where(Print.campaign_id == campaign.id, Print.original_id.is_(None), chosen)
        .values(updated_at=now_sql(session), **values)
        .returning(Print.id)
        .execution_options(synchronize_session=False)
    ).all()
    prints.update_copies(session, changed)
    return len(changed)
