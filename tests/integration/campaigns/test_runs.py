"""A campaign from its start to its end: rows become prints in their turn, and every one is accounted for."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from common.campaigns import lifecycle, progress as campaign_progress
from common.campaigns.printing import ordering
from common.campaigns.spec import OnBlock, SeedRule
from common.errors import IllegalTransitionError
from common.jobs import lifecycle as job_lifecycle
from common.states.campaigns import CampaignStatus, PrintStatus
from common.states.jobs import JobStatus
from common.tables import Campaign, Image, Job, Model, Print, RecipientList
from tests.support import factories
from tests.support.campaigns.campaign_fixture import PRICE, CampaignFixture, add_list, approve, arm, names, spec


def statuses(campaign_fixture: CampaignFixture, campaign_id) -> Counter[PrintStatus]:
    return Counter(made.status for made in campaign_fixture.prints(campaign_id))


def test_a_campaign_prints_every_row_once_and_completes(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(30), spec(images_per_recipient=2))
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.print_all() == 60
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.status, campaign.held, campaign.spent) == (CampaignStatus.COMPLETED, 0, 60 * PRICE)
    assert campaign.finished_at is not None
    made = campaign_fixture.prints(campaign_id)
    assert len({(each.recipient_pk, each.index) for each in made}) == len(made) == 60
    assert {each.status for each in made} == {PrintStatus.PRINTED}
    assert len({each.image_id for each in made}) == 60


def test_the_first_jobs_are_queued_before_the_start_is_answered(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(5))
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.claim() is not None


def test_a_campaign_queues_no_more_jobs_than_its_window(
    campaign_fixture: CampaignFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "WINDOW", 10)
    campaign_id = campaign_fixture.campaign(names(35), reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    for _ in range(3):
        campaign_fixture.go_round()
        assert (
            len(campaign_fixture.prints(campaign_id)) == campaign_fixture.count(campaign_id, PrintStatus.ORDERED) == 10
        )
    for _ in range(4):
        campaign_fixture.print_one()
    campaign_fixture.go_round()
    assert statuses(campaign_fixture, campaign_id) == {PrintStatus.PRINTED: 4, PrintStatus.ORDERED: 10}
    assert campaign_fixture.print_all() == 31


def test_identical_requests_are_printed_and_charged_once(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(["ada", "bob", "ada", "ada", "eve"])
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.print_all() == 3
    campaign, made = campaign_fixture.read(campaign_id), campaign_fixture.prints(campaign_id)
    assert campaign.spent == 3 * PRICE == sum(each.amount for each in made)
    originals = {each.id: each for each in made if each.original_id is None}
    copies = [each for each in made if each.original_id is not None]
    assert len(copies) == 2
    for each in copies:
        original = originals[each.original_id]
        assert (each.status, each.image_id, each.amount) == (PrintStatus.PRINTED, original.image_id, 0)


def test_recipients_with_individual_images_share_none(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(["ada"] * 4, spec(seed_rule=SeedRule.RECIPIENT))
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.print_all() == 4
    assert len({each.seed for each in campaign_fixture.prints(campaign_id)}) == 4


def test_a_copy_may_come_long_after_its_original(
    campaign_fixture: CampaignFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "WINDOW", 2)
    campaign_id = campaign_fixture.campaign([*names(6), "name0"])
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.print_all() == 6
    assert statuses(campaign_fixture, campaign_id) == {PrintStatus.PRINTED: 7}


def test_a_campaign_of_identical_rows_completes(
    campaign_fixture: CampaignFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "WINDOW", 2)
    campaign_id = campaign_fixture.campaign(["ada"] * 50)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.print_all() == 1
    for _ in range(5):
        campaign_fixture.go_round()
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.COMPLETED
    assert statuses(campaign_fixture, campaign_id) == {PrintStatus.PRINTED: 50}


def test_jobs_carry_their_campaign_recipient_and_style(campaign_fixture: CampaignFixture) -> None:
    chosen = spec(arm(style="birthday@3", palette=("#ff0000",)))
    campaign_id = campaign_fixture.campaign(["ada"], chosen, reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    (made,) = campaign_fixture.prints(campaign_id)
    job = factories.read(campaign_fixture.database, made.job_id)
    assert (job.campaign_id, job.recipient_id, job.style_version) == (campaign_id, "1-1", "birthday@3")
    assert (job.palette, job.max_amount, job.flow) == (["#ff0000"], PRICE, f"ada/{campaign_id}")
    assert job.request["seed"] == made.seed


def test_pausing_withdraws_the_jobs_that_no_press_has_started(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(6), reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    held = campaign_fixture.claim()
    campaign_fixture.do(campaign_id, lifecycle.pause_campaign)
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.status, campaign.held) == (CampaignStatus.PAUSED, PRICE)
    assert statuses(campaign_fixture, campaign_id) == {PrintStatus.ORDERED: 1, PrintStatus.WAITING: 5}
    assert campaign_fixture.claim() is None
    assert held is not None
    campaign_fixture.publish(held)
    campaign_fixture.go_round()
    assert statuses(campaign_fixture, campaign_id) == {PrintStatus.PRINTED: 1, PrintStatus.WAITING: 5}
    campaign_fixture.do(campaign_id, lifecycle.resume_campaign, campaign_fixture.settings)
    assert campaign_fixture.print_all() == 5
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.COMPLETED


def test_canceling_is_final_and_running_jobs_are_still_charged(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(6), reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    held = campaign_fixture.claim()
    campaign_fixture.do(campaign_id, lifecycle.cancel_campaign)
    assert held is not None
    campaign_fixture.publish(held)
    campaign_fixture.go_round()
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.status, campaign.held, campaign.spent) == (CampaignStatus.CANCELED, 0, PRICE)
    assert statuses(campaign_fixture, campaign_id) == {PrintStatus.PRINTED: 1, PrintStatus.CANCELED: 5}
    with pytest.raises(IllegalTransitionError):
        campaign_fixture.do(campaign_id, lifecycle.resume_campaign, campaign_fixture.settings)


def test_rows_never_queued_count_as_canceled(
    campaign_fixture: CampaignFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "WINDOW", 2)
    campaign_id = campaign_fixture.campaign(names(9), reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    campaign_fixture.do(campaign_id, lifecycle.cancel_campaign)
    total = campaign_fixture.do(campaign_id, campaign_progress.count_progress).total
    assert (total.wanted, total.by_status[PrintStatus.CANCELED]) == (9, 9)


def test_a_campaign_starts_when_scheduled_and_expires_at_its_deadline(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(3), reservation=PRICE)
    campaign_fixture.go_round()
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.APPROVED
    campaign_fixture.age(campaign_id, "start_at", timedelta(seconds=1))
    campaign_fixture.go_round()
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.RUNNING
    campaign_fixture.print_one()
    campaign_fixture.go_round()
    campaign_fixture.age(campaign_id, "deadline_at", timedelta(seconds=1))
    campaign_fixture.go_round()
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.EXPIRED
    assert statuses(campaign_fixture, campaign_id) == {PrintStatus.PRINTED: 1, PrintStatus.CANCELED: 2}
    assert campaign_fixture.claim() is None


def test_a_blocked_image_fails_alone_and_costs_nothing(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign([*names(3), "name0"], reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    held = campaign_fixture.claim()
    assert held is not None
    campaign_fixture.block(held)
    campaign_fixture.print_all()
    assert statuses(campaign_fixture, campaign_id) == {PrintStatus.PRINTED: 2, PrintStatus.BLOCKED: 2}
    assert campaign_fixture.read(campaign_id).spent == 2 * PRICE
    assert {each.error_code for each in campaign_fixture.prints(campaign_id)} == {None, "content_blocked"}


def test_a_blocked_image_is_rerolled_a_bounded_number_of_times(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(["ada"], spec(on_block=OnBlock.REROLL, max_rerolls=2), reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    seeds = set()
    for _ in range(3):
        held = campaign_fixture.claim()
        assert held is not None
        seeds.add(held.request.seed)
        campaign_fixture.block(held)
        campaign_fixture.go_round()
    assert len(seeds) == 3
    assert campaign_fixture.claim() is None
    (made,) = campaign_fixture.prints(campaign_id)
    assert (made.status, made.rerolls, made.amount) == (PrintStatus.BLOCKED, 2, 0)


def test_an_off_palette_image_is_rerolled_and_the_best_one_is_kept(campaign_fixture: CampaignFixture) -> None:
    chosen = spec(arm(palette=("#ff0000",)), palette_floor=0.8, max_rerolls=2)
    campaign_id = campaign_fixture.campaign(["ada"], chosen, reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    for score in (0.3, 0.6, 0.5):
        assert campaign_fixture.print_one(palette_score=score) is not None
        campaign_fixture.go_round()
    assert campaign_fixture.claim() is None
    (made,) = campaign_fixture.prints(campaign_id)
    assert (made.status, made.rerolls, made.amount) == (PrintStatus.PRINTED, 2, 3 * PRICE)
    with campaign_fixture.database.reading() as session:
        assert session.get_one(Image, made.image_id).palette_score == 0.6
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.status, campaign.spent) == (CampaignStatus.COMPLETED, 3 * PRICE)


def test_an_image_that_matches_the_palette_is_not_rerolled(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(
        ["ada"], spec(arm(palette=("#ff0000",)), palette_floor=0.8), reservation=PRICE
    )
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    campaign_fixture.print_one(palette_score=0.9)
    campaign_fixture.go_round()
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.COMPLETED


@pytest.mark.parametrize(
    ("only", "again"),
    [
        (None, 2),
        (lifecycle.RetryScope.FAILED, 1),
        (lifecycle.RetryScope.BLOCKED, 1),
        (lifecycle.RetryScope.RETRYABLE, 0),
    ],
    ids=["all", "failed", "blocked", "retryable"],
)
def test_failed_prints_can_be_retried(
    campaign_fixture: CampaignFixture, only: lifecycle.RetryScope | None, again: int
) -> None:
    campaign_id = campaign_fixture.campaign(names(3), reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    for end in (campaign_fixture.block, campaign_fixture.fail):
        held = campaign_fixture.claim()
        assert held is not None
        end(held)
    campaign_fixture.print_all()
    before = {each.id: each.seed for each in campaign_fixture.prints(campaign_id) if each.status is PrintStatus.BLOCKED}
    assert campaign_fixture.do(campaign_id, lifecycle.retry_prints, only, campaign_fixture.settings) == again
    assert campaign_fixture.print_all() == again
    assert campaign_fixture.read(campaign_id).status is CampaignStatus.COMPLETED
    assert campaign_fixture.count(campaign_id, PrintStatus.PRINTED) == 1 + again
    if only is not lifecycle.RetryScope.FAILED and again:
        assert all(each.seed != before[each.id] for each in campaign_fixture.prints(campaign_id) if each.id in before)


def test_a_job_canceled_by_its_owner_counts_as_a_canceled_print(
    campaign_fixture: CampaignFixture,
) -> None:
    campaign_id = campaign_fixture.campaign(names(2), reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    first = campaign_fixture.prints(campaign_id)[0]
    with campaign_fixture.database.transaction() as session:
        job_lifecycle.cancel_job(session, session.get_one(Job, first.job_id))
    campaign_fixture.print_all()
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.status, campaign.held, campaign.spent) == (CampaignStatus.COMPLETED, 0, PRICE)
    assert statuses(campaign_fixture, campaign_id) == {PrintStatus.PRINTED: 1, PrintStatus.CANCELED: 1}


def test_rows_that_are_approved_later_are_printed_later(campaign_fixture: CampaignFixture) -> None:
    campaign_id = campaign_fixture.campaign(names(3))
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.print_all() == 3
    campaign_fixture.do(campaign_id, add_list, 2, ["zoe", "name0"])
    with pytest.raises(IllegalTransitionError):
        campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    campaign_fixture.do(campaign_id, approve, campaign_fixture.settings)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    assert campaign_fixture.print_all() == 1
    assert statuses(campaign_fixture, campaign_id) == {PrintStatus.PRINTED: 5}


def test_a_campaign_is_held_when_it_differs_from_what_was_approved(
    campaign_fixture: CampaignFixture,
) -> None:
    campaign_id = campaign_fixture.campaign(names(3), reservation=PRICE)
    with campaign_fixture.database.transaction() as session:
        session.add(Model(name=factories.MODEL, card={"title": "another"}))
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    campaign = campaign_fixture.read(campaign_id)
    assert (campaign.status, campaign.held_reason) == (CampaignStatus.HELD, ordering.NOT_AS_APPROVED)
    assert campaign_fixture.claim() is None


@pytest.mark.parametrize("act", [lifecycle.start_campaign, lifecycle.resume_campaign])
def test_a_campaign_is_started_and_resumed_only_where_its_state_allows_it(
    campaign_fixture: CampaignFixture, act
) -> None:
    campaign_id = campaign_fixture.campaign(names(1), status=CampaignStatus.READY)
    with pytest.raises(IllegalTransitionError):
        campaign_fixture.do(campaign_id, act, campaign_fixture.settings)


def test_the_counters_match_the_rows(campaign_fixture: CampaignFixture) -> None:
    chosen = spec(arm("a", "{{ name }} at sea"), arm("b", "{{ name }} at home"))
    campaign_id = campaign_fixture.campaign([*names(40), "name1"], chosen)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    campaign_fixture.go_round()
    for _ in range(4):
        campaign_fixture.print_one()
    campaign_fixture.go_round()
    progress = campaign_fixture.do(campaign_id, campaign_progress.count_progress)
    assert set(progress.arms) == {"a", "b"}
    assert sum(tally.wanted for tally in progress.arms.values()) == progress.total.wanted == 41
    assert progress.total.by_status[PrintStatus.PRINTED] == 4
    assert sum(progress.total.by_status.values()) == 41
    assert progress.total.amount == 4 * PRICE == campaign_fixture.read(campaign_id).spent
    assert progress.per_minute > 0
    assert progress.finishes_at is not None
    campaign_fixture.print_all()
    with campaign_fixture.database.reading() as session:
        rows = session.scalars(select(func.count()).select_from(Print)).one()
        fed = session.scalars(select(RecipientList.fed)).one()
        assert session.scalars(select(func.count()).where(Job.status == JobStatus.SUCCEEDED)).one() == 41 - (
            session.scalars(select(func.count(Print.original_id))).one()
        )
        assert session.get_one(Campaign, campaign_id).status is CampaignStatus.COMPLETED
    assert (rows, fed) == (41, 41)


def test_a_fallback_image_counts_as_no_print_and_not_in_cost_estimates(
    campaign_fixture: CampaignFixture,
) -> None:
    campaign_id = campaign_fixture.campaign(["ada"])
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    campaign_fixture.print_one(Decimal(0), gpu_seconds=0.0, safety={"fallback_for": {}})
    campaign_fixture.go_round()
    (made,), campaign = campaign_fixture.prints(campaign_id), campaign_fixture.read(campaign_id)
    assert (made.status, made.error_code, made.amount) == (PrintStatus.BLOCKED, "content_blocked", 0)
    assert (campaign.status, campaign.spent, campaign.reservation) == (CampaignStatus.COMPLETED, 0, None)
