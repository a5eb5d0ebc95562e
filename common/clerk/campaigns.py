"""Clerk duties for campaigns, each in its own transaction; campaigns locked by another clerk are skipped."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from common.access import audit
from common.access.audit import AuditObject, Keyless
from common.campaigns import lifecycle, webhook_events
from common.campaigns.printing import ordering, proofs, settlement
from common.campaigns.webhook_events import ProgressInterval
from common.db.clock import now_sql
from common.db.engine import Database
from common.errors import DatabaseUnavailableError, PressroomError
from common.logs import get_logger
from common.settings import Settings
from common.states.audit import Act, ObjectKind
from common.states.campaigns import CAMPAIGN_TRANSITIONS, CampaignStatus, PrintStatus
from common.states.jobs import TERMINAL, JobStatus
from common.tables import Campaign, Job, Print

log = get_logger(__name__)

_HAS_ENDED_JOBS = exists().where(
    Print.campaign_id == Campaign.id,
    or_(Print.status == PrintStatus.ORDERED, and_(Print.status == PrintStatus.ERASED, Print.held > 0)),
    Print.job_id == Job.id,
    Job.status.in_(TERMINAL),
)
# Such as those whose last open proof was erased.
_IS_DONE_PROOFING = and_(
    Campaign.status == CampaignStatus.PROOFING,
    ~exists().where(Print.campaign_id == Campaign.id, Print.status == PrintStatus.ORDERED),
)
_IS_STOPPED = Campaign.status.in_(
    (CampaignStatus.PAUSED, CampaignStatus.HELD, CampaignStatus.CANCELED, CampaignStatus.EXPIRED)
)
_IS_OVER = Campaign.status.in_((CampaignStatus.CANCELED, CampaignStatus.EXPIRED))
_HAS_QUEUED_JOBS = exists().where(
    Print.campaign_id == Campaign.id,
    Print.status == PrintStatus.ORDERED,
    Print.job_id == Job.id,
    Job.status == JobStatus.QUEUED,
)
_HAS_WAITING_PRINTS = exists().where(Print.campaign_id == Campaign.id, Print.status == PrintStatus.WAITING)
_MAY_EXPIRE = [status for status, targets in CAMPAIGN_TRANSITIONS.items() if CampaignStatus.EXPIRED in targets]


def start_due_campaigns(database: Database, settings: Settings) -> int:
    """Start the approved campaigns whose time has come; return how many."""

    def start_one(session: Session, campaign: Campaign) -> None:
        before = lifecycle.describe_campaign(campaign)
        lifecycle.start_campaign(session, campaign, settings)
        changed, after = AuditObject(ObjectKind.CAMPAIGN, campaign.id), lifecycle.describe_campaign(campaign)
        audit.record_event(session, Keyless(campaign.owner), Act.CAMPAIGN_STARTED, changed, before=before, after=after)

    return _update_each(
        database,
        lambda session: and_(Campaign.status == CampaignStatus.APPROVED, Campaign.start_at <= now_sql(session)),
        start_one,
    )


def expire_due_campaigns(database: Database) -> int:
    """Expire the campaigns whose deadline has passed; return how many."""
    return _update_each(
        database,
        lambda session: and_(Campaign.status.in_(_MAY_EXPIRE), Campaign.deadline_at <= now_sql(session)),
        lifecycle.expire_campaign,
    )


def settle_campaigns(database: Database) -> int:
    """Settle the ended jobs of all campaigns; return the number of campaigns that had any."""

    def settle_one(session: Session, campaign: Campaign) -> None:
        settlement.settle_prints(session, campaign)
        proofs.conclude_proofs(session, campaign)

    return _update_each(database, lambda _: or_(_HAS_ENDED_JOBS, _IS_DONE_PROOFING), settle_one)


def feed_campaigns(database: Database, settings: Settings) -> int:
    """Submit the next prints of every running campaign; return how many."""
    ordered = 0

    def feed_one(session: Session, campaign: Campaign) -> None:
        nonlocal ordered
        ordered += ordering.submit_next_prints(session, campaign, settings)

    _update_each(database, lambda _: Campaign.status == CampaignStatus.RUNNING, feed_one)
    return ordered


def cancel_stopped_campaigns(database: Database) -> int:
    """Cancel jobs that presses have returned, and prints that wait for a reroll, of campaigns that have stopped.

    This also stops a campaign that is held because it differs from what was approved.
    """
    left = or_(and_(_IS_STOPPED, _HAS_QUEUED_JOBS), and_(_IS_OVER, _HAS_WAITING_PRINTS))
    return _update_each(database, lambda _: left, lifecycle.cancel_returned_prints)


def publish_progress(database: Database, settings: Settings) -> int:
    """Publish the progress events that are due; return the number of campaigns."""
    published = 0
    pace = ProgressInterval(
        timedelta(seconds=settings.campaign_progress_seconds), settings.campaign_progress_percent / 100
    )

    def publish_one(session: Session, campaign: Campaign) -> None:
        nonlocal published
        published += webhook_events.publish_progress_event(session, campaign, pace)

    _update_each(database, lambda _: Campaign.status == CampaignStatus.RUNNING, publish_one)
    return published


def _update_each(
    database: Database,
    choose: Callable[[Session], ColumnElement[bool]],
    act: Callable[[Session, Campaign], object],
) -> int:
    """Apply *act* to each campaign that *choose* selects, if it still does once locked; return how many."""
    with database.reading() as session:
        ids = session.scalars(
            select(Campaign.id).where(choose(session), Campaign.deleted_at.is_(None)).order_by(Campaign.id)
        ).all()
    return sum(_update_one(database, campaign_id, choose, act) for campaign_id in ids)


def _update_one(
    database: Database,
    campaign_id: UUID,
    choose: Callable[[Session], ColumnElement[bool]],
    act: Callable[[Session, Campaign], object],
) -> bool:
    try:
        with database.transaction() as session:
            found = select(Campaign).where(Campaign.id == campaign_id, choose(session))
            campaign = session.scalar(found.with_for_update(skip_locked=True, of=Campaign))
            if campaign is not None:
                act(session, campaign)
            return campaign is not None
    except DatabaseUnavailableError:
        raise
    except PressroomError as error:  # what is wrong with one campaign must not keep the others waiting
        log.warning("campaign_stuck", campaign_id=str(campaign_id), code=error.code, reason=error.message)
        return False
