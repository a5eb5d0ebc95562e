"""Publishes the webhook events of campaigns: progress, completed, held and failed."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from common.campaigns import progress as campaign_progress
from common.campaigns.progress import Progress
from common.db import clock
from common.states.campaigns import CampaignStatus, PrintStatus
from common.states.webhooks import CAMPAIGN_EVENTS, EventType, parse_events
from common.tables import Campaign
from common.webhooks import outbox, payloads
from common.webhooks.outbox import Event


@dataclass(frozen=True)
class ProgressInterval:
    """How often ``campaign.progress`` is sent: after a time or a share of the prints, whichever comes first."""

    every: timedelta
    share: float


def publish_campaign_event(session: Session, campaign: Campaign) -> None:
    """Publish the event of a campaign that has just been held or has ended."""
    progress = campaign_progress.count_progress(session, campaign)
    if campaign.status is CampaignStatus.HELD:
        event = EventType.CAMPAIGN_HELD
    elif campaign.status is CampaignStatus.COMPLETED and progress.total.by_status[PrintStatus.PRINTED]:
        event = EventType.CAMPAIGN_COMPLETED
    else:
        event = EventType.CAMPAIGN_FAILED
    _publish_event(session, campaign, event, progress)


def publish_progress_event(session: Session, campaign: Campaign, pace: ProgressInterval) -> bool:
    """Publish a progress event of *campaign*, which is locked, if one is due; return whether it was."""
    moment = clock.fetch_now(session)
    since = campaign.told_at or campaign.started_at or moment
    progress = campaign_progress.count_progress(session, campaign)
    gained = progress.share - campaign.told_share
    if gained <= 0 or (gained < pace.share and moment - since < pace.every):
        return False
    campaign.told_at, campaign.told_share = moment, progress.share
    _publish_event(session, campaign, EventType.CAMPAIGN_PROGRESS, progress)
    return True


def _publish_event(session: Session, campaign: Campaign, event: EventType, progress: Progress) -> None:
    moment = clock.fetch_now(session)
    body = payloads.render_event(event, moment, _serialize_campaign(campaign, progress))
    chosen = campaign.webhook_events
    events = CAMPAIGN_EVENTS if chosen is None else parse_events(chosen)
    outbox.publish_event(session, Event(campaign.owner, event, moment, body, campaign.webhook_url, events))


def _serialize_campaign(campaign: Campaign, progress: Progress) -> dict[str, Any]:
    prints = {status.value: progress.total.by_status[status] for status in PrintStatus}
    return {
        "id": str(campaign.id),
        "object": "campaign",
        "name": campaign.name,
        "status": campaign.status,
        "held_reason": campaign.held_reason if campaign.status is CampaignStatus.HELD else None,
        "prints": {"wanted": progress.total.wanted, **prints},
        **{name: payloads.format_amount(amount) for name, amount in _collect_amounts(campaign).items()},
        "currency": campaign.currency,
        "created_at": payloads.format_time(campaign.created_at),
        "started_at": payloads.format_time(campaign.started_at),
        "finished_at": payloads.format_time(campaign.finished_at),
    }


def _collect_amounts(campaign: Campaign) -> dict[str, Decimal]:
    return {"budget": campaign.budget, "held": campaign.held, "spent": campaign.spent}
