"""What must hold of campaigns, whatever was done to them: no row is skipped or printed twice, and every sum adds up."""

from collections import Counter, defaultdict
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.campaigns import progress
from common.campaigns.spec import CampaignSpec
from common.states.campaigns import CampaignStatus, ListStatus, PrintStatus
from common.tables import Campaign, Image, Job, Print, Recipient, RecipientList
from common.usage.lines import DELIVERED


def check(session: Session) -> None:
    """Fail unless every campaign is accounted for to the last print and the last fraction of a cent."""
    for campaign in session.scalars(select(Campaign)):
        made = list(session.scalars(select(Print).where(Print.campaign_id == campaign.id)))
        _check_sums(session, campaign, made)
        _check_copies(made)
        _check_one_for_each(session, campaign, made)
        _check_counters(session, campaign, made)
        _check_jobs(session, campaign, made)


def _check_sums(session: Session, campaign: Campaign, made: list[Print]) -> None:
    originals = [each for each in made if each.original_id is None]
    assert campaign.held + campaign.spent <= campaign.budget
    assert campaign.held == sum((each.held for each in originals), Decimal(0)), "holds are the sum of the prints'"
    assert all(each.held == 0 for each in originals if each.status is not PrintStatus.ORDERED)
    assert all((each.held, each.amount) == (0, 0) for each in made if each.original_id is not None)
    amounts = sum((each.amount for each in originals), Decimal(0))
    assert amounts <= campaign.spent, "what was dropped stays spent, and nothing else"
    # Every picture that was charged to a job of the campaign which has been settled is in what was spent.
    open_jobs = {each.job_id for each in originals if each.status is PrintStatus.ORDERED}
    charged = sum(
        (
            image.amount
            for image in session.scalars(
                select(Image).join(Job, Job.id == Image.job_id).where(Job.campaign_id == campaign.id)
            )
            if image.status in DELIVERED and image.job_id not in open_jobs
        ),
        Decimal(0),
    )
    assert campaign.spent == charged, "spent is what the pictures cost"


def _check_copies(made: list[Print]) -> None:
    by_id = {each.id: each for each in made}
    digests = Counter(each.digest for each in made if each.original_id is None and each.digest is not None)
    assert all(number == 1 for number in digests.values()), "what is asked twice is printed once"
    for each in made:
        if each.original_id is None or each.status is PrintStatus.ERASED:
            continue
        original = by_id[each.original_id]
        assert original.original_id is None
        assert (each.status, each.image_id) == (original.status, original.image_id)


def _check_one_for_each(session: Session, campaign: Campaign, made: list[Print]) -> None:
    """Every recipient of an approved list that was fed has exactly one print of each index."""
    spec = CampaignSpec.from_row(campaign.spec)
    indexes: dict[UUID, list[int]] = defaultdict(list)
    for each in made:
        indexes[each.recipient_pk].append(each.index)
    assert all(found == sorted(set(found)) for found in map(sorted, indexes.values()))
    lists = session.scalars(
        select(RecipientList).where(
            RecipientList.campaign_id == campaign.id, RecipientList.status == ListStatus.CURRENT
        )
    )
    for each in lists:
        rows = session.execute(
            select(Recipient.id, Recipient.row).where(
                Recipient.campaign_id == campaign.id, Recipient.list_number == each.number
            )
        ).all()
        for pk, row in rows:
            if row <= each.fed:
                assert sorted(indexes[pk]) == list(range(spec.images_per_recipient)), "a row that was passed over"
        if campaign.status is CampaignStatus.COMPLETED and each.approved_at is not None:
            assert all(row <= each.fed for _, row in rows)


def _check_counters(session: Session, campaign: Campaign, made: list[Print]) -> None:
    shown = progress.count_progress(session, campaign).total
    counted = Counter(each.status for each in made)
    for status in PrintStatus:
        if status not in (PrintStatus.WAITING, PrintStatus.CANCELED):  # these hold the rows that were never fed too
            assert shown.by_status[status] == counted[status]
    assert sum(shown.by_status.values()) == shown.wanted
    if campaign.status is CampaignStatus.COMPLETED:
        assert all(each.status.is_over for each in made)


def _check_jobs(session: Session, campaign: Campaign, made: list[Print]) -> None:
    """No picture of the campaign was made for nobody, and what is printed has its picture."""
    open_jobs = {each.job_id for each in made if each.status is PrintStatus.ORDERED}
    for job in session.scalars(select(Job).where(Job.campaign_id == campaign.id)):
        assert job.num_images == 1
        assert job.flow == f"{campaign.owner}/{campaign.id}"
        assert job.status.is_terminal or job.id in open_jobs, "a job that nobody waits for"
    images = {each.image_id for each in made if each.status is PrintStatus.PRINTED}
    assert None not in images
    if not any(each.rerolls for each in made):
        jobs = {each.job_id for each in made if each.status is PrintStatus.PRINTED and each.original_id is None}
        found = session.scalars(select(Image.id).where(Image.job_id.in_(jobs))).all()
        assert set(found) == images, "one picture for each print"
