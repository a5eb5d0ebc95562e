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
from common.states.campaigns import CampaignStatus, PrintStatus
from tests.support.campaigns.campaign_fixture import PRICE, CampaignFixture, names


@pytest.mark.parametrize(
    ("stop", "left"),
    [
        (campaign_lifecycle.pause_campaign, PrintStatus.WAITING),
        (campaign_lifecycle.cancel_campaign, PrintStatus.CANCELED),
    ],
)
def test_a_job_released_by_its_press_after_the_stop_is_withdrawn_too(
    campaign_fixture: CampaignFixture, stop: Callable[..., Any], left: PrintStatus
) -> None:
    campaign_id = campaign_fixture.campaign(names(3), reservation=PRICE)
    campaign_fixture.do(campaign_id, campaign_lifecycle.start_campaign, campaign_fixture.settings)
    held = campaign_fixture.claim()
    assert held is not None
    campaign_fixture.do(campaign_id, stop)
    with campaign_fixture.database.transaction() as session:
        lifecycle.release_job(session, held, Spent(0.5))
    campaign_fixture.go_round()
    assert campaign_fixture.claim() is None
    assert campaign_fixture.read(campaign_id).held == Decimal(0)
    assert [made.status for made in campaign_fixture.prints(campaign_id)] == [left] * 3
    campaign_fixture.check()


def test_a_campaign_held_for_differing_from_its_approval_prints_none_of_its_window(
    campaign_fixture: CampaignFixture, tmp_path: Path
) -> None:
    campaign_id = campaign_fixture.campaign(names(8), reservation=PRICE)
    campaign_fixture.do(campaign_id, campaign_lifecycle.start_campaign, campaign_fixture.settings)
    stricter = {"PRESSROOM_HOME": str(tmp_path / "home"), "PRESSROOM_SAFETY_BLOCK_ABOVE": "0.5"}
    duties.feed_campaigns(campaign_fixture.database, Settings.from_environ(stricter))
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.HELD
    duties.cancel_stopped_campaigns(campaign_fixture.database)
    assert campaign_fixture.claim() is None
    assert campaign_fixture.count(campaign_id, PrintStatus.WAITING) == 8


def test_a_retry_after_the_deadline_prints_nothing_and_loses_nothing(
    campaign_fixture: CampaignFixture,
) -> None:
    campaign_id = campaign_fixture.campaign(names(2), reservation=PRICE)
    campaign_fixture.do(campaign_id, campaign_lifecycle.start_campaign, campaign_fixture.settings)
    held = campaign_fixture.claim()
    assert held is not None
    campaign_fixture.fail(held)
    campaign_fixture.print_all()
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.COMPLETED
    campaign_fixture.age(campaign_id, "deadline_at", timedelta(seconds=5))
    with pytest.raises(IllegalTransitionError, match="deadline"):
        campaign_fixture.do(campaign_id, campaign_lifecycle.retry_prints, None, campaign_fixture.settings)
    campaign_fixture.go_round()
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.COMPLETED
    assert campaign_fixture.count(campaign_id, PrintStatus.FAILED) == 1
