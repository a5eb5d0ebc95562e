"""The budget of a campaign: never passed, whoever races for it; raised, it pays for the rest; our waste is ours."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from common.campaigns import lifecycle
from common.campaigns.printing import budget
from common.campaigns.printing.budget import BudgetTooLowError
from common.clerk import campaigns as duties
from common.tables.campaign_states import CampaignStatus, PrintStatus
from tests.support.campaigns.campaigns import PRICE, Bureau, names

THREADS = 8


def test_a_budget_for_a_hundred_pictures_is_never_passed_and_raised_pays_for_the_rest(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(150), budget=100 * PRICE)
    bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)

    def print_on(_: int) -> int:
        made = 0
        while bureau.read(campaign_id).status is CampaignStatus.RUNNING:
            made += bureau.print_one() is not None
            duties.settle_campaigns(bureau.database)
            duties.feed_campaigns(bureau.database, bureau.settings)
        return made

    with ThreadPoolExecutor(THREADS) as presses:
        made = sum(presses.map(print_on, range(THREADS)))
    bureau.go_round()
    campaign = bureau.read(campaign_id)
    assert (campaign.status, campaign.held_reason) == (CampaignStatus.HELD, "budget")
    assert (campaign.held, campaign.spent) == (0, made * PRICE)
    assert 98 <= made <= 100
    assert bureau.count(campaign_id, PrintStatus.FAILED) == 0
    bureau.do(campaign_id, lifecycle.raise_budget, 200 * PRICE, bureau.settings)
    assert bureau.read(campaign_id).status is CampaignStatus.RUNNING
    assert bureau.print_all() == 150 - made
    campaign = bureau.read(campaign_id)
    assert (campaign.status, campaign.spent) == (CampaignStatus.COMPLETED, 150 * PRICE)


def test_what_a_print_costs_is_found_out_by_a_few_that_share_the_budget(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(50), budget=50 * PRICE)
    bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)
    assert bureau.count(campaign_id, PrintStatus.ORDERED) == budget.PROBE_PRINTS
    campaign = bureau.read(campaign_id)
    assert (campaign.held, campaign.reservation) == (50 * PRICE, None)
    bureau.print_one()
    bureau.go_round()
    assert bureau.read(campaign_id).reservation == PRICE * budget.MARGIN


def test_what_a_print_costs_is_known_from_pictures_like_it(bureau: Bureau) -> None:
    earlier = bureau.campaign(names(2))
    bureau.do(earlier, lifecycle.start_campaign, bureau.settings)
    bureau.print_all()
    campaign_id = bureau.campaign(names(30))
    bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)
    assert bureau.read(campaign_id).reservation == PRICE * budget.MARGIN
    assert bureau.count(campaign_id, PrintStatus.ORDERED) == 30


def test_a_picture_costs_at_most_what_was_held_and_the_next_is_held_more_for(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(3), reservation=PRICE)
    bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)
    held = bureau.claim()
    assert held is not None
    assert held.max_amount == PRICE
    bureau.publish(held, 4 * PRICE, gpu_seconds=0.25, overrun_seconds=0.75)
    bureau.go_round()
    campaign = bureau.read(campaign_id)
    assert (campaign.spent, campaign.reservation) == (PRICE, 4 * PRICE * budget.MARGIN)


def test_what_fails_or_is_lost_is_not_charged(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(3), reservation=PRICE)
    bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)
    for end in (bureau.block, bureau.fail):
        held = bureau.claim()
        assert held is not None
        end(held)
    bureau.go_round()
    campaign = bureau.read(campaign_id)
    assert (campaign.held, campaign.spent) == (PRICE, 0)


def test_a_budget_cannot_be_less_than_what_is_spent_and_held(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(3), budget=10 * PRICE, reservation=PRICE)
    bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)
    with pytest.raises(BudgetTooLowError):
        bureau.do(campaign_id, lifecycle.raise_budget, 2 * PRICE, bureau.settings)
    bureau.do(campaign_id, lifecycle.raise_budget, 3 * PRICE, bureau.settings)
    assert bureau.read(campaign_id).budget == 3 * PRICE


def test_a_campaign_is_held_only_when_nothing_in_hand_can_free_what_it_needs(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(3), budget=2 * PRICE, reservation=PRICE)
    bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)
    assert bureau.count(campaign_id, PrintStatus.ORDERED) == 2
    first, second = bureau.claim(), bureau.claim()
    assert first is not None
    assert second is not None
    bureau.publish(first, PRICE / 2)
    bureau.go_round()
    assert bureau.read(campaign_id).status is CampaignStatus.RUNNING
    bureau.publish(second, PRICE / 2)
    bureau.go_round()
    assert bureau.print_all() == 1
    assert bureau.read(campaign_id).status is CampaignStatus.COMPLETED


def test_what_is_held_for_is_let_go_of_by_pausing(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(3), budget=2 * PRICE, reservation=PRICE)
    bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)
    bureau.do(campaign_id, lifecycle.pause_campaign)
    assert bureau.read(campaign_id).held == 0
    assert bureau.claim() is None


def test_a_hold_that_does_not_fit_changes_nothing(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(1), budget=PRICE)
    assert bureau.do(campaign_id, budget.hold_amount, PRICE)
    assert not bureau.do(campaign_id, budget.hold_amount, Decimal("0.000000001"))
    assert bureau.read(campaign_id).held == PRICE
    bureau.do(campaign_id, budget.settle_amount, PRICE, Decimal(0))


def test_pictures_that_cost_nothing_need_no_budget(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(3), reservation=Decimal(0))
    bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)
    assert bureau.print_all(Decimal(0)) == 3
    assert bureau.read(campaign_id).status is CampaignStatus.COMPLETED


def test_pictures_of_a_time_when_printing_was_free_tell_nothing_of_the_cost(bureau: Bureau) -> None:
    free = bureau.campaign(names(6))
    bureau.do(free, lifecycle.start_campaign, bureau.settings)
    assert bureau.print_all(Decimal(0)) == 6
    campaign = bureau.read(free)
    assert (campaign.status, campaign.spent) == (CampaignStatus.COMPLETED, 0)
    campaign_id = bureau.campaign(names(6))
    bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)
    assert bureau.read(campaign_id).reservation is None
    assert bureau.print_all() == 6
    campaign = bureau.read(campaign_id)
    assert (campaign.spent, campaign.reservation) == (6 * PRICE, PRICE * budget.MARGIN)


def test_a_campaign_that_printed_for_free_pays_once_there_is_a_price(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(6), reservation=Decimal(0))
    bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)
    bureau.print_one(Decimal(0))
    bureau.print_one(PRICE, gpu_seconds=0.0, overrun_seconds=1.0)
    bureau.go_round()
    assert bureau.read(campaign_id).reservation is None
    bureau.do(campaign_id, lifecycle.pause_campaign)
    bureau.do(campaign_id, lifecycle.resume_campaign, bureau.settings)
    assert bureau.print_all() == 4
    assert bureau.read(campaign_id).spent == 4 * PRICE
