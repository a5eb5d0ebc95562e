"""Settles ended jobs of a campaign: each print is made, rolled again, blocked or failed.

Delivered images are charged, up to the amount held for them; blocked and lost work is not charged.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from common.campaigns.printing import budget, prints
from common.campaigns.spec import CampaignSpec, OnBlock
from common.failpoints import failpoint
from common.states.campaigns import PrintStatus
from common.states.jobs import TERMINAL, JobStatus
from common.tables import Campaign, Image, Job, Print
from common.usage.usage import was_delivered

BATCH = 500
BLOCKED = "content_blocked"


@dataclass(frozen=True)
class PrintUpdate:
    """The columns of a print that settling its job may change."""

    id: UUID
    status: PrintStatus
    image_id: UUID | None
    rerolls: int
    amount: Decimal
    held: Decimal
    error_code: str | None
    error_message: str | None
    error_retryable: bool | None


def settle_prints(session: Session, campaign: Campaign) -> int:
    """Settle the prints of *campaign*, which is locked, whose jobs have ended; return how many."""
    ended = session.execute(_select_ended(campaign)).all()
    if not ended:
        return 0
    images = _fetch_images(session, [job.id for _, job in ended])
    kept = _fetch_kept_images(session, [made for made, _ in ended])
    spec = CampaignSpec.from_row(campaign.spec)
    may_roll = not campaign.status.is_over
    delivered = [image for image in images.values() if was_delivered(image)]
    spent = sum((image.amount for image in delivered), Decimal(0))
    budget.settle_amount(session, campaign, sum((made.held for made, _ in ended), Decimal(0)), spent)
    budget.update_reservation(session, campaign, [image for image in delivered if not image.is_fallback])
    settled = [_settle_job(made, job, images.get(job.id), kept, spec, may_roll=may_roll) for made, job in ended]
    prints.update_prints(session, [asdict(each) for each in settled])
    failpoint("settling")
    return len(ended)


def _select_ended(campaign: Campaign) -> Any:
    """Select prints whose jobs have ended; amounts held for erased recipients are settled like all others."""
    open_ones = or_(Print.status == PrintStatus.ORDERED, and_(Print.status == PrintStatus.ERASED, Print.held > 0))
    return (
        select(Print, Job)
        .join(Job, Job.id == Print.job_id)
        .where(Print.campaign_id == campaign.id, Print.original_id.is_(None), open_ones, Job.status.in_(TERMINAL))
        .order_by(Print.id)
        .limit(BATCH)
    )


def _fetch_images(session: Session, job_ids: Sequence[UUID]) -> dict[UUID, Image]:
    """Return the image of each job that has one, by job."""
    return {image.job_id: image for image in session.scalars(select(Image).where(Image.job_id.in_(job_ids)))}


def _fetch_kept_images(session: Session, made: Sequence[Print]) -> dict[UUID, Image]:
    """Return the best earlier images of prints that were rolled again, by image."""
    ids = [each.image_id for each in made if each.image_id is not None]
    return {image.id: image for image in session.scalars(select(Image).where(Image.id.in_(ids)))} if ids else {}


def _settle_job(
    made: Print, job: Job, image: Image | None, kept: dict[UUID, Image], spec: CampaignSpec, *, may_roll: bool
) -> PrintUpdate:
    """Return what a print becomes now that its job has ended."""
    settled = _settle_amount(made, image)
    if made.status is PrintStatus.ERASED:
        return settled
    before = kept.get(made.image_id) if made.image_id is not None else None
    rolls_left = may_roll and made.rerolls < spec.max_rerolls
    match job.status, _is_blocked(job, image), rolls_left:
        case JobStatus.SUCCEEDED, False, _ if image is not None:
            return _accept_image(settled, _choose_better(before, image), spec, rolls_left=rolls_left)
        case _ if before is not None:  # a better roll was wanted and failed: the earlier one stays
            return replace(settled, status=PrintStatus.PRINTED)
        case _, True, True if spec.on_block is OnBlock.REROLL:
            return _reroll_print(settled)
        case _, True, _:
            return _block_print(settled, image)
        case _:
            return _fail_print(settled, job)


def _settle_amount(made: Print, image: Image | None) -> PrintUpdate:
    """Return a print with nothing held any more and its image, if it was delivered, charged; the rest as it is."""
    charged = image.amount if image is not None and was_delivered(image) else Decimal(0)
    return PrintUpdate(
        id=made.id,
        status=made.status,
        image_id=made.image_id,
        rerolls=made.rerolls,
        amount=made.amount + charged,
        held=Decimal(0),
        error_code=made.error_code,
        error_message=made.error_message,
        error_retryable=made.error_retryable,
    )


def _is_blocked(job: Job, image: Image | None) -> bool:
    """Return whether the safety check blocked what *job* generated; a job may succeed with a fallback image or none."""
    if job.status is JobStatus.SUCCEEDED:
        return image is None or image.is_fallback
    return job.error_code == BLOCKED


def _accept_image(settled: PrintUpdate, best: Image, spec: CampaignSpec, *, rolls_left: bool) -> PrintUpdate:
    accepted = replace(settled, image_id=best.id)
    if rolls_left and _is_off_palette(best, spec):
        return _reroll_print(accepted)
    return replace(accepted, status=PrintStatus.PRINTED)


def _block_print(settled: PrintUpdate, image: Image | None) -> PrintUpdate:
    return replace(
        settled,
        status=PrintStatus.BLOCKED,
        image_id=image.id if image is not None else None,  # a reviewer may still release it
        error_code=BLOCKED,
        error_message="The safety check blocked the image.",
        error_retryable=False,
    )


def _fail_print(settled: PrintUpdate, job: Job) -> PrintUpdate:
    return replace(
        settled,
        status=PrintStatus.CANCELED if job.status is JobStatus.CANCELED else PrintStatus.FAILED,
        error_code=job.error_code,
        error_message=job.error_message,
        error_retryable=job.error_retryable,
    )


def _reroll_print(settled: PrintUpdate) -> PrintUpdate:
    return replace(settled, status=PrintStatus.WAITING, rerolls=settled.rerolls + 1)


def _choose_better(before: Image | None, image: Image) -> Image:
    if before is None or (image.palette_score or 0.0) > (before.palette_score or 0.0):
        return image
    return before


def _is_off_palette(image: Image, spec: CampaignSpec) -> bool:
    return (
        spec.palette_floor is not None and image.palette_score is not None and image.palette_score < spec.palette_floor
    )
