"""Campaigns that were stopped: nothing of them is printed later, and nothing stays held."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from common.campaigns import lifecycle as campaign_lifecycle
from common.clerk import campaigns as duties
from common.errors import IllegalTransitionError
from common.jobs import lifecycle
from common.jobs.attempts import Spent
from common.settings import Settings
from common.tables.campaign_states import CampaignStatus, PrintStatus
from tests.support.campaigns.campaigns import PRICE, Bureau, names


@pytest.mark.parametrize(
    ("stop", "left"),
    [
        (campaign_lifecycle.pause_campaign, PrintStatus.WAITING),
        (campaign_lifecycle.cancel_campaign, PrintStatus.CANCELED),
    ],
)
def test_a_job_that_its_press_gives_back_after_the_stop_is_taken_back_too(
    bureau: Bureau, stop: Callable[..., Any], left: PrintStatus
) -> None:
    campaign_id = bureau.campaign(names(3), reservation=PRICE)
    bureau.do(campaign_id, campaign_lifecycle.start_campaign, bureau.settings)
    held = bureau.claim()
    assert held is not None
    bureau.do(campaign_id, stop)
    with bureau.database.transaction() as session:
        lifecycle.release_job(session, held, Spent(0.5))
    bureau.go_round()
    assert bureau.claim() is None
    assert bureau.read(campaign_id).held == Decimal(0)
    assert [made.status for made in bureau.prints(campaign_id)] == [left] * 3
    bureau.check()


def test_what_is_held_for_being_other_than_approved_prints_nothing_of_its_window(
    bureau: Bureau, tmp_path: Path
) -> None:
    campaign_id = bureau.campaign(names(8), reservation=PRICE)
    bureau.do(campaign_id, campaign_lifecycle.start_campaign, bureau.settings)
    stricter = {"PRESSROOM_HOME": str(tmp_path / "home"), "PRESSROOM_SAFETY_BLOCK_ABOVE": "0.5"}
    duties.feed_campaigns(bureau.database, Settings.from_environ(stricter))
    assert bureau.read(campaign_id).status is CampaignStatus.HELD
    duties.cancel_stopped_campaigns(bureau.database)
    assert bureau.claim() is None
    assert bureau.count(campaign_id, PrintStatus.WAITING) == 8


def test_after_its_deadline_nothing_is_tried_again_and_nothing_is_lost_by_asking(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(2), reservation=PRICE)
    bureau.do(campaign_id, campaign_lifecycle.start_campaign, bureau.settings)
    held = bureau.claim()
    assert held is not None
    bureau.fail(held)
    bureau.print_all()
    assert bureau.read(campaign_id).status is CampaignStatus.COMPLETED
    bureau.age(campaign_id, "deadline_at", timedelta(seconds=5))
    with pytest.raises(IllegalTransitionError, match="deadline"):
        bureau.do(campaign_id, campaign_lifecycle.retry_prints, None, bureau.settings)
    bureau.go_round()
    assert bureau.read(campaign_id).status is CampaignStatus.COMPLETED
    assert bureau.count(campaign_id, PrintStatus.FAILED) == 1
