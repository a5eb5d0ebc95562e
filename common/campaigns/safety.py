"""Keeps the safety policy of a campaign: the strictest of those of all API keys that acted on it."""

from common.safety.policy import PolicyOverrides
from common.tables import Campaign


def tighten_campaign(campaign: Campaign, overrides: PolicyOverrides) -> None:
    """Have the images of *campaign*, which is locked, judged at least as strictly as *overrides* say, for good.

    It applies to queued jobs too. What is done on a block remains the campaign's own setting.
    """
    kept = PolicyOverrides.from_row(campaign.safety)
    campaign.safety = kept.tighten(overrides.model_copy(update={"on_block": None})).dump_row()
