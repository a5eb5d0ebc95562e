"""Proofs: a few rows printed early, the same each time, and a quote for the whole by what they cost."""

import pytest

from common.campaigns import lifecycle, status
from common.campaigns.printing import prints, proofs, quote as printing_quote
from common.campaigns.printing.proofs import BudgetSpentError
from common.campaigns.spec import CampaignSpec
from common.errors import IllegalTransitionError
from common.models import catalog
from common.states.campaigns import CampaignStatus, PrintStatus
from common.states.jobs import Priority
from common.tables import Campaign, Press, Recipient
from tests.support.campaigns.campaign_fixture import PRICE, CampaignFixture, approve, arm, names, spec
from tests.support.factories import image_request, read


def choose(campaign_fixture: CampaignFixture, campaign_id, rows: int) -> list[Recipient]:
    def look(session, campaign: Campaign) -> list[Recipient]:
        return proofs.choose_recipients(session, campaign, CampaignSpec.from_row(campaign.spec), rows)

    return campaign_fixture.do(campaign_id, look)


def proof(campaign_fixture: CampaignFixture, campaign_id, rows: int) -> None:
    """Have some rows proofed, and wait until that is done."""
    campaign_fixture.do(campaign_id, proofs.submit_proofs, rows)
    while campaign_fixture.print_one() is not None:
        pass
    campaign_fixture.go_round()


def test_the_sample_is_the_first_row_the_longest_and_a_repeatable_random_choice(
    campaign_fixture: CampaignFixture,
) -> None:
    people = names(40)
    people[16] = "a very long name indeed"
    campaign_id = campaign_fixture.campaign(people, status=CampaignStatus.READY)
    rows = [each.row for each in choose(campaign_fixture, campaign_id, 6)]
    assert rows[:2] == [1, 17]
    assert len(set(rows)) == 6
    assert [each.row for each in choose(campaign_fixture, campaign_id, 6)] == rows
    assert [each.row for each in choose(campaign_fixture, campaign_id, 4)] == rows[:4]


def test_a_sample_is_never_larger_than_the_list(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(3), status=CampaignStatus.READY)
    assert sorted(each.row for each in choose(campaign_fixture, campaign_id, 9)) == [1, 2, 3]


def test_proofs_are_printed_with_priority_and_give_the_quote(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(40), status=CampaignStatus.READY)
    campaign_fixture.do(campaign_id, proofs.submit_proofs, 5)
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.PROOFING
    assert {read(campaign_fixture.database, made.job_id).priority for made in campaign_fixture.prints(campaign_id)} == {
        Priority.INTERACTIVE
    }
    for cost in (1, 2, 3, 2, 2):
        assert campaign_fixture.print_one(cost * PRICE) is not None
        campaign_fixture.go_round()
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.status, campaign.spent, campaign.held) == (CampaignStatus.READY, 10 * PRICE, 0)
    assert campaign.quote is not None
    quote = printing_quote.Quote.from_row(campaign.quote)
    assert (quote.proofs, quote.prints, quote.block_rate) == (5, 40, 0)
    assert quote.amount.mean == pytest.approx(float(40 * 2 * PRICE))
    assert quote.amount.low is not None
    assert quote.amount.high is not None
    assert quote.amount.low < quote.amount.mean < quote.amount.high
    assert quote.gpu_seconds.mean == pytest.approx(1.0)


def test_proofs_are_kept_as_results_and_not_printed_again(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(10), status=CampaignStatus.READY)
    proof(campaign_fixture, campaign_id, 4)
    before = {made.recipient_pk: made.image_id for made in campaign_fixture.prints(campaign_id)}
    assert len(before) == 4
    campaign_fixture.do(campaign_id, approve, campaign_fixture.settings)
    campaign_fixture.do(campaign_id, status.move_campaign, CampaignStatus.APPROVED)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.print_all() == 6
    after = {made.recipient_pk: made.image_id for made in campaign_fixture.prints(campaign_id)}
    assert before.items() <= after.items()
    assert campaign_fixture.count(campaign_id, PrintStatus.PRINTED) == 10


def test_asking_for_more_proofs_prints_only_the_additional_ones(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(10), status=CampaignStatus.READY)
    proof(campaign_fixture, campaign_id, 3)
    assert campaign_fixture.do(campaign_id, proofs.submit_proofs, 3) == 0
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.READY
    assert campaign_fixture.do(campaign_id, proofs.submit_proofs, 5) == 2


def test_blocked_proofs_count_in_the_quote(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(10), status=CampaignStatus.READY)
    campaign_fixture.do(campaign_id, proofs.submit_proofs, 4)
    held = campaign_fixture.claim()
    assert held is not None
    campaign_fixture.block(held)
    while campaign_fixture.print_one() is not None:
        pass
    campaign_fixture.go_round()
    quote = printing_quote.Quote.from_row(campaign_fixture.read(campaign_id).quote or {})
    assert (quote.proofs, quote.block_rate) == (3, 0.25)
    assert quote.amount.mean == pytest.approx(float(10 * PRICE * 3 / 4))


def test_proofs_are_charged_to_the_budget_and_refused_without_one(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(10), status=CampaignStatus.READY, budget=3 * PRICE, reservation=PRICE)
    with pytest.raises(BudgetSpentError):
        campaign_fixture.do(campaign_id, proofs.submit_proofs, 4)
    assert campaign_fixture.prints(campaign_id) == []
    assert campaign_fixture.do(campaign_id, proofs.submit_proofs, 3) == 3
    assert campaign_fixture.read(campaign_id).held == 3 * PRICE


def test_proofs_require_a_ready_campaign(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(3), status=CampaignStatus.APPROVED)
    with pytest.raises(IllegalTransitionError):
        campaign_fixture.do(campaign_id, proofs.submit_proofs, 2)


def test_dropped_proofs_stay_charged(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(["ada", "ada", *names(3)], status=CampaignStatus.READY)
    proof(campaign_fixture, campaign_id, 5)
    campaign_fixture.do(campaign_id, proofs.discard_proofs)
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.quote, campaign.reservation, campaign.spent) == (None, None, 4 * PRICE)
    assert campaign_fixture.prints(campaign_id) == []
    proof(campaign_fixture, campaign_id, 5)
    assert campaign_fixture.read(campaign_id).spent == 8 * PRICE


def test_a_campaign_may_be_canceled_while_it_is_proofed(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(5), status=CampaignStatus.READY)
    campaign_fixture.do(campaign_id, proofs.submit_proofs, 3)
    held = campaign_fixture.claim()
    assert held is not None
    campaign_fixture.do(campaign_id, lifecycle.cancel_campaign)
    campaign_fixture.publish(held)
    campaign_fixture.go_round()
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.status, campaign.held, campaign.spent) == (CampaignStatus.CANCELED, 0, PRICE)
    assert campaign_fixture.do(campaign_id, prints.count_prints, PrintStatus.CANCELED) == 2


def test_a_mean_of_one_value_has_no_interval_and_of_many_a_narrow_one() -> None:
    assert printing_quote.estimate_mean([2.0], 100) == printing_quote.Interval(2.0)
    few, many = (
        printing_quote.estimate_mean([1.0, 2.0, 3.0], 1000),
        printing_quote.estimate_mean([1.0, 2.0, 3.0] * 20, 1000),
    )
    assert few.high is not None
    assert many.high is not None
    assert few.mean == many.mean == 2.0
    assert few.high == pytest.approx(2 + 2.920 * (1 / 3 + 1 / 1000) ** 0.5, abs=0.001)
    assert many.high - many.mean < 0.2


def test_the_quote_includes_the_savings_of_fuller_batches(campaign_fixture: CampaignFixture) -> None:
    chosen = spec(arm(request=image_request(prompt="", seed=0, width=512, height=512)))
    campaign_id = campaign_fixture.campaign(names(40), chosen, status=CampaignStatus.READY)
    with campaign_fixture.database.transaction() as session:
        catalog.register_models(session, [catalog.PAINTED_CARD])
        session.get_one(Press, campaign_fixture.press_id).rates = {"painted": {"1": 2.0, "2": 3.0, "4": 4.0}}
    proof(campaign_fixture, campaign_id, 3)
    quote = printing_quote.Quote.from_row(campaign_fixture.read(campaign_id).quote or {})
    assert (quote.measured_batch, quote.batch) == (1.0, 4)
    assert quote.gpu_seconds.mean == pytest.approx(0.5)
    assert quote.amount.mean == pytest.approx(float(40 * PRICE / 2))


def test_image_sizes_that_were_not_profiled_are_quoted_as_measured(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(40), status=CampaignStatus.READY)
    with campaign_fixture.database.transaction() as session:
        catalog.register_models(session, [catalog.PAINTED_CARD])
        session.get_one(Press, campaign_fixture.press_id).rates = {"painted": {"1": 2.0, "4": 4.0}}
    proof(campaign_fixture, campaign_id, 3)
    quote = printing_quote.Quote.from_row(campaign_fixture.read(campaign_id).quote or {})
    assert quote.batch == quote.measured_batch
    assert quote.gpu_seconds.mean == pytest.approx(1.0)
