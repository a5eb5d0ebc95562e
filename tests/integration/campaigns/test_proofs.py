"""Proofs: a few rows printed early, the same each time, and a quote for the whole by what they cost."""

import pytest

from common.campaigns import lifecycle, status
from common.campaigns.printing import prints, proofs, quote as printing_quote
from common.campaigns.printing.proofs import BudgetSpentError
from common.campaigns.spec import CampaignSpec
from common.errors import IllegalTransitionError
from common.models import catalog
from common.tables import Campaign, Press, Recipient
from common.tables.campaign_states import CampaignStatus, PrintStatus
from common.tables.states import Priority
from tests.support.campaigns import campaigns
from tests.support.campaigns.campaigns import PRICE, Bureau, names
from tests.support.factories import image_request, read


def choose(bureau: Bureau, campaign_id, rows: int) -> list[Recipient]:
    def look(session, campaign: Campaign) -> list[Recipient]:
        return proofs.choose_recipients(session, campaign, CampaignSpec.from_row(campaign.spec), rows)

    return bureau.do(campaign_id, look)


def proof(bureau: Bureau, campaign_id, rows: int) -> None:
    """Have some rows proofed, and wait until that is done."""
    bureau.do(campaign_id, proofs.submit_proofs, rows)
    while bureau.print_one() is not None:
        pass
    bureau.go_round()


def test_the_sample_is_the_first_row_the_longest_and_some_by_lot_the_same_each_time(bureau: Bureau) -> None:
    people = names(40)
    people[16] = "a very long name indeed"
    campaign_id = bureau.campaign(people, status=CampaignStatus.READY)
    rows = [each.row for each in choose(bureau, campaign_id, 6)]
    assert rows[:2] == [1, 17]
    assert len(set(rows)) == 6
    assert [each.row for each in choose(bureau, campaign_id, 6)] == rows
    assert [each.row for each in choose(bureau, campaign_id, 4)] == rows[:4]


def test_a_sample_is_never_more_than_there_is(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(3), status=CampaignStatus.READY)
    assert sorted(each.row for each in choose(bureau, campaign_id, 9)) == [1, 2, 3]


def test_proofs_are_printed_urgently_and_quoted_by(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(40), status=CampaignStatus.READY)
    bureau.do(campaign_id, proofs.submit_proofs, 5)
    assert bureau.read(campaign_id).status is CampaignStatus.PROOFING
    assert {read(bureau.database, made.job_id).priority for made in bureau.prints(campaign_id)} == {
        Priority.INTERACTIVE
    }
    for cost in (1, 2, 3, 2, 2):
        assert bureau.print_one(cost * PRICE) is not None
        bureau.go_round()
    campaign = bureau.read(campaign_id)
    assert (campaign.status, campaign.spent, campaign.held) == (CampaignStatus.READY, 10 * PRICE, 0)
    assert campaign.quote is not None
    quote = printing_quote.Quote.from_row(campaign.quote)
    assert (quote.proofs, quote.prints, quote.block_rate) == (5, 40, 0)
    assert quote.amount.mean == pytest.approx(float(40 * 2 * PRICE))
    assert quote.amount.low is not None
    assert quote.amount.high is not None
    assert quote.amount.low < quote.amount.mean < quote.amount.high
    assert quote.gpu_seconds.mean == pytest.approx(1.0)


def test_proofs_are_the_real_prints_and_are_not_made_again(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(10), status=CampaignStatus.READY)
    proof(bureau, campaign_id, 4)
    before = {made.recipient_pk: made.image_id for made in bureau.prints(campaign_id)}
    assert len(before) == 4
    bureau.do(campaign_id, campaigns.approve, bureau.settings)
    bureau.do(campaign_id, status.move_campaign, CampaignStatus.APPROVED)
    bureau.do(campaign_id, lifecycle.start_campaign, bureau.settings)
    assert bureau.print_all() == 6
    after = {made.recipient_pk: made.image_id for made in bureau.prints(campaign_id)}
    assert before.items() <= after.items()
    assert bureau.count(campaign_id, PrintStatus.PRINTED) == 10


def test_asking_for_more_proofs_prints_only_what_is_more(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(10), status=CampaignStatus.READY)
    proof(bureau, campaign_id, 3)
    assert bureau.do(campaign_id, proofs.submit_proofs, 3) == 0
    assert bureau.read(campaign_id).status is CampaignStatus.READY
    assert bureau.do(campaign_id, proofs.submit_proofs, 5) == 2


def test_proofs_that_are_blocked_are_in_the_quote(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(10), status=CampaignStatus.READY)
    bureau.do(campaign_id, proofs.submit_proofs, 4)
    held = bureau.claim()
    assert held is not None
    bureau.block(held)
    while bureau.print_one() is not None:
        pass
    bureau.go_round()
    quote = printing_quote.Quote.from_row(bureau.read(campaign_id).quote or {})
    assert (quote.proofs, quote.block_rate) == (3, 0.25)
    assert quote.amount.mean == pytest.approx(float(10 * PRICE * 3 / 4))


def test_proofs_are_charged_to_the_budget_and_refused_without_one(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(10), status=CampaignStatus.READY, budget=3 * PRICE, reservation=PRICE)
    with pytest.raises(BudgetSpentError):
        bureau.do(campaign_id, proofs.submit_proofs, 4)
    assert bureau.prints(campaign_id) == []
    assert bureau.do(campaign_id, proofs.submit_proofs, 3) == 3
    assert bureau.read(campaign_id).held == 3 * PRICE


def test_proofs_are_made_of_what_is_ready(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(3), status=CampaignStatus.APPROVED)
    with pytest.raises(IllegalTransitionError):
        bureau.do(campaign_id, proofs.submit_proofs, 2)


def test_proofs_that_are_dropped_stay_paid_for(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(["ada", "ada", *names(3)], status=CampaignStatus.READY)
    proof(bureau, campaign_id, 5)
    bureau.do(campaign_id, proofs.discard_proofs)
    campaign = bureau.read(campaign_id)
    assert (campaign.quote, campaign.reservation, campaign.spent) == (None, None, 4 * PRICE)
    assert bureau.prints(campaign_id) == []
    proof(bureau, campaign_id, 5)
    assert bureau.read(campaign_id).spent == 8 * PRICE


def test_a_campaign_may_be_canceled_while_it_is_proofed(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(5), status=CampaignStatus.READY)
    bureau.do(campaign_id, proofs.submit_proofs, 3)
    held = bureau.claim()
    assert held is not None
    bureau.do(campaign_id, lifecycle.cancel_campaign)
    bureau.publish(held)
    bureau.go_round()
    campaign = bureau.read(campaign_id)
    assert (campaign.status, campaign.held, campaign.spent) == (CampaignStatus.CANCELED, 0, PRICE)
    assert bureau.do(campaign_id, prints.count_prints, PrintStatus.CANCELED) == 2


def test_a_mean_of_one_has_no_interval_and_one_of_many_has_a_narrow_one() -> None:
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


def test_what_a_fuller_batch_will_save_is_in_the_quote(bureau: Bureau) -> None:
    chosen = campaigns.spec(campaigns.arm(request=image_request(prompt="", seed=0, width=512, height=512)))
    campaign_id = bureau.campaign(names(40), chosen, status=CampaignStatus.READY)
    with bureau.database.transaction() as session:
        catalog.register_models(session, [catalog.PAINTED_CARD])
        session.get_one(Press, bureau.press_id).rates = {"painted": {"1": 2.0, "2": 3.0, "4": 4.0}}
    proof(bureau, campaign_id, 3)
    quote = printing_quote.Quote.from_row(bureau.read(campaign_id).quote or {})
    assert (quote.measured_batch, quote.batch) == (1.0, 4)
    assert quote.gpu_seconds.mean == pytest.approx(0.5)
    assert quote.amount.mean == pytest.approx(float(40 * PRICE / 2))


def test_pictures_of_another_size_than_was_profiled_are_quoted_as_measured(bureau: Bureau) -> None:
    campaign_id = bureau.campaign(names(40), status=CampaignStatus.READY)
    with bureau.database.transaction() as session:
        catalog.register_models(session, [catalog.PAINTED_CARD])
        session.get_one(Press, bureau.press_id).rates = {"painted": {"1": 2.0, "4": 4.0}}
    proof(bureau, campaign_id, 3)
    quote = printing_quote.Quote.from_row(bureau.read(campaign_id).quote or {})
    assert quote.batch == quote.measured_batch
    assert quote.gpu_seconds.mean == pytest.approx(1.0)
