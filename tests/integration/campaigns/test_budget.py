"""The budget of a campaign: never exceeded under concurrency; raised, it pays for the rest; waste is not charged."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from common.campaigns import lifecycle
from common.campaigns.printing import budget
from common.campaigns.printing.budget import BudgetTooLowError
from common.clerk import campaigns as duties
from common.states.campaigns import CampaignStatus, PrintStatus
from tests.support.campaigns.campaign_fixture import PRICE, CampaignFixture, names

THREADS = 8


def test_a_budget_is_never_exceeded_and_raising_it_pays_for_the_rest(
    campaign_fixture: CampaignFixture,
) -> None:
    campaign_id = campaign_fixture.campaign(names(150), budget=100 * PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)

    def print_on(_: int) -> int:
        made = 0
        while campaign_fixture.read(campaign_id).status is CampaignStatus.RUNNING:
            made += campaign_fixture.print_one() is not None
            duties.settle_campaigns(campaign_fixture.database)
            duties.feed_campaigns(campaign_fixture.database, campaign_fixture.settings)
        return made

    with ThreadPoolExecutor(THREADS) as presses:
        made = sum(presses.map(print_on, range(THREADS)))
    campaign_fixture.go_round()
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.status, campaign.held_reason) == (CampaignStatus.HELD, "budget")
    assert (campaign.held, campaign.spent) == (0, made * PRICE)
    assert 98 <= made <= 100
    assert campaign_fixture.count(campaign_id, PrintStatus.FAILED) == 0
    campaign_fixture.do(campaign_id, lifecycle.change_budget, 200 * PRICE, campaign_fixture.settings)
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.RUNNING
    assert campaign_fixture.print_all() == 150 - made
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.status, campaign.spent) == (CampaignStatus.COMPLETED, 150 * PRICE)


def test_the_cost_of_an_image_is_measured_with_a_few_that_share_the_budget(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(50), budget=50 * PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.count(campaign_id, PrintStatus.ORDERED) == budget.PROBE_PRINTS
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.held, campaign.reservation) == (50 * PRICE, None)
    campaign_fixture.print_one()
    campaign_fixture.go_round()
    assert campaign_fixture.read(campaign_id).reservation == PRICE * budget.MARGIN


def test_the_cost_of_an_image_is_known_from_similar_images(campaign_fixture: CampaignFixture) -> None:
    earlier = campaign_fixture.campaign(names(2))
    campaign_fixture.do(earlier, lifecycle.start_campaign, campaign_fixture.settings)
    campaign_fixture.print_all()
    campaign_id = campaign_fixture.campaign(names(30))
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.read(campaign_id).reservation == PRICE * budget.MARGIN
    assert campaign_fixture.count(campaign_id, PrintStatus.ORDERED) == 30


def test_an_image_is_charged_at_most_its_hold_and_the_next_hold_is_larger(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(3), reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    held = campaign_fixture.claim()
    assert held is not None
    assert held.max_amount == PRICE
    campaign_fixture.publish(held, 4 * PRICE, gpu_seconds=0.25, overrun_seconds=0.75)
    campaign_fixture.go_round()
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.spent, campaign.reservation) == (PRICE, 4 * PRICE * budget.MARGIN)


def test_failed_and_lost_images_are_not_charged(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(3), reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    for end in (campaign_fixture.block, campaign_fixture.fail):
        held = campaign_fixture.claim()
        assert held is not None
        end(held)
    campaign_fixture.go_round()
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.held, campaign.spent) == (PRICE, 0)


def test_a_budget_cannot_be_less_than_the_amount_spent_and_held(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(3), budget=10 * PRICE, reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    with pytest.raises(BudgetTooLowError):
        campaign_fixture.do(campaign_id, lifecycle.change_budget, 2 * PRICE, campaign_fixture.settings)
    campaign_fixture.do(campaign_id, lifecycle.change_budget, 3 * PRICE, campaign_fixture.settings)
    assert campaign_fixture.read(campaign_id).budget == 3 * PRICE


def test_a_campaign_is_held_only_when_no_open_job_can_free_its_budget(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(3), budget=2 * PRICE, reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.count(campaign_id, PrintStatus.ORDERED) == 2
    first, second = campaign_fixture.claim(), campaign_fixture.claim()
    assert first is not None
    assert second is not None
    campaign_fixture.publish(first, PRICE / 2)
    campaign_fixture.go_round()
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.RUNNING
    campaign_fixture.publish(second, PRICE / 2)
    campaign_fixture.go_round()
    assert campaign_fixture.print_all() == 1
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.COMPLETED


def test_pausing_releases_the_holds_of_queued_images(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(3), budget=2 * PRICE, reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    campaign_fixture.do(campaign_id, lifecycle.pause_campaign)
    assert campaign_fixture.read(campaign_id).held == 0
    assert campaign_fixture.claim() is None


def test_a_hold_that_exceeds_the_budget_changes_nothing(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(1), budget=PRICE)
    assert campaign_fixture.do(campaign_id, budget.hold_amount, PRICE)
    assert not campaign_fixture.do(campaign_id, budget.hold_amount, Decimal("0.000000001"))
    assert campaign_fixture.read(campaign_id).held == PRICE
    campaign_fixture.do(campaign_id, budget.settle_amount, PRICE, Decimal(0))


def test_free_images_need_no_budget(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(3), reservation=Decimal(0))
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.print_all(Decimal(0)) == 3
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.COMPLETED


def test_images_printed_for_free_are_ignored_in_cost_estimates(campaign_fixture: CampaignFixture) -> None:
    free = campaign_fixture.campaign(names(6))
    campaign_fixture.do(free, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.print_all(Decimal(0)) == 6
    campaign = campaign_fixture.read(free)
    assert (campaign.status, campaign.spent) == (CampaignStatus.COMPLETED, 0)
    campaign_id = campaign_fixture.campaign(names(6))
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.read(campaign_id).reservation is None
    assert campaign_fixture.print_all() == 6
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.spent, campaign.reservation) == (6 * PRICE, PRICE * budget.MARGIN)


def test_a_campaign_that_printed_for_free_pays_once_there_is_a_price(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(6), reservation=Decimal(0))
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    campaign_fixture.print_one(Decimal(0))
    campaign_fixture.print_one(PRICE, gpu_seconds=0.0, overrun_seconds=1.0)
    campaign_fixture.go_round()
    assert campaign_fixture.read(campaign_id).reservation is None
    campaign_fixture.do(campaign_id, lifecycle.pause_campaign)
    campaign_fixture.do(campaign_id, lifecycle.resume_campaign, campaign_fixture.settings)
    assert campaign_fixture.print_all() == 4
    assert campaign_fixture.read(campaign_id).spent == 4 * PRICE
