"""Who is next beside campaigns: the urgent first, and campaigns of equal weight in turns."""

from collections import Counter

from common.campaigns import lifecycle
from common.tables.campaign_states import PrintStatus
from common.tables.states import Priority
from tests.support import factories
from tests.support.campaigns.campaigns import PRICE, Bureau, names


def test_an_urgent_job_is_the_next_whatever_a_campaign_has_queued(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(300), reservation=PRICE)
    bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)
    for _ in range(3):
        urgent = factories.submit(bureau.database, owner="eve", priority=Priority.INTERACTIVE)
        held = bureau.claim()
        assert held is not None
        assert held.job_id == urgent.id
        bureau.print_one()


def test_campaigns_of_two_owners_take_turns_whichever_began_first(bureau: Bureau) -> None:
    first = bureau.campaign(names(100), owner="ada", reservation=PRICE)
    bureau.do(first, lifecycle.start_campaign, bureau.settings)
    for _ in range(20):
        bureau.print_one()
    second = bureau.campaign(names(100), owner="eve", reservation=PRICE)
    bureau.do(second, lifecycle.start_campaign, bureau.settings)
    turns = [held.owner for _ in range(80) if (held := bureau.print_one()) is not None]
    assert Counter(turns) == {"ada": 40, "eve": 40}
    for start in range(0, 80, 2):
        assert set(turns[start : start + 2]) == {"ada", "eve"}
    bureau.go_round()
    assert bureau.count(second, PrintStatus.PRINTED) == 40


def test_two_campaigns_of_one_owner_take_turns_with_its_own_jobs(bureau: Bureau) -> None:
    for _ in range(2):
        campaign_id = bureau.campaign(names(10), reservation=PRICE)
        bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)
    for _ in range(10):
        factories.submit(bureau.database, priority=Priority.BULK)
    claimed = [held.job_id for _ in range(30) if (held := bureau.print_one()) is not None]
    flows = [factories.read(bureau.database, job_id).flow for job_id in claimed]
    for start in range(0, 30, 3):
        assert len(set(flows[start : start + 3])) == 3
