"""The moves of a campaign; the only module that writes ``Campaign.status``."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from common.errors import IllegalTransitionError
from common.states.campaigns import CampaignStatus, list_campaign_source_statuses
from common.tables import Campaign


def move_campaign(session: Session, campaign: Campaign, target: CampaignStatus, **values: Any) -> None:
    """Move *campaign* to *target* and set *values* with it; raise IllegalTransitionError if no move leads there."""
    moved = session.execute(
        update(Campaign)
        .where(Campaign.id == campaign.id, Campaign.status.in_(list_campaign_source_statuses(target)))
        .values(status=target, **values)
        .returning(Campaign.id)
        .execution_options(synchronize_session=False)
    ).all()
    session.refresh(campaign)
    if not moved:
        raise IllegalTransitionError(f"The campaign is {campaign.status} and cannot become {target}.")
