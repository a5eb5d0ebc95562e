"""The order of claims with campaigns: urgent jobs first, and campaigns of equal weight in turns."""

from collections import Counter

from common.campaigns import lifecycle
from common.states.campaigns import PrintStatus
from common.states.jobs import Priority
from tests.support import factories
from tests.support.campaigns.campaign_fixture import PRICE, CampaignFixture, names


def test_an_urgent_job_is_the_next_whatever_a_campaign_has_queued(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(300), reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    for _ in range(3):
        urgent = factories.submit(campaign_fixture.database, owner="eve", priority=Priority.INTERACTIVE)
        held = campaign_fixture.claim()
        assert held is not None
        assert held.job_id == urgent.id
        campaign_fixture.print_one()


def test_campaigns_of_two_owners_take_turns_whichever_began_first(campaign_fixture: CampaignFixture) -> None:
    first = campaign_fixture.campaign(names(100), owner="ada", reservation=PRICE)
    campaign_fixture.do(first, lifecycle.start_campaign, campaign_fixture.settings)
    for _ in range(20):
        campaign_fixture.print_one()
    second = campaign_fixture.campaign(names(100), owner="eve", reservation=PRICE)
    campaign_fixture.do(second, lifecycle.start_campaign, campaign_fixture.settings)
    turns = [held.owner for _ in range(80) if (held := campaign_fixture.print_one()) is not None]
    assert Counter(turns) == {"ada": 40, "eve": 40}
    for start in range(0, 80, 2):
        assert set(turns[start : start + 2]) == {"ada", "eve"}
    campaign_fixture.go_round()
    assert campaign_fixture.count(second, PrintStatus.PRINTED) == 40


def test_two_campaigns_of_one_owner_take_turns_with_its_own_jobs(campaign_fixture: CampaignFixture) -> None:
    for _ in range(2):
        campaign_id = campaign_fixture.campaign(names(10), reservation=PRICE)
        campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    for _ in range(10):
        factories.submit(campaign_fixture.database, priority=Priority.BULK)
    claimed = [held.job_id for _ in range(30) if (held := campaign_fixture.print_one()) is not None]
    flows = [factories.read(campaign_fixture.database, job_id).flow for job_id in claimed]
    for start in range(0, 30, 3):
        assert len(set(flows[start : start + 3])) == 3
