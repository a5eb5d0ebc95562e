"""Settles ended jobs of a campaign: each print is made, rolled again, blocked or failed.

Delivered images are charged, up to the amount held for them; blocked and lost work is not charged.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from common.campaigns.printing import budget, prints
from common.campaigns.spec import CampaignSpec, OnBlock
from common.failpoints import failpoint
from common.tables import Campaign, Image, Job, Print
from common.tables.campaign_states import PrintStatus
from common.tables.states import TERMINAL, JobStatus
from common.usage.usage import was_delivered

BATCH = 500
BLOCKED = "content_blocked"


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
    budget.update_reservation(session, campaign, [image for image in delivered if not is_stand_in(image)])
    prints.update_prints(
        session, [_settle_job(made, job, images.get(job.id), kept, spec, may_roll=may_roll) for made, job in ended]
    )
    failpoint("settling")
    return len(ended)


def is_stand_in(image: Image) -> bool:
    """Return whether an image is the operator's own in the place of a blocked one, which is charged to nobody."""
    return "fallback_for" in image.safety


def _select_ended(campaign: Campaign) -> Any:
    """Select what a job is at that has ended; what was held for an erased recipient is settled like the rest."""
    open_ones = or_(Print.status == PrintStatus.ORDERED, and_(Print.status == PrintStatus.ERASED, Print.held > 0))
    return (
        select(Print, Job)
        .join(Job, Job.id == Print.job_id)
        .where(Print.campaign_id == campaign.id, Print.original_id.is_(None), open_ones, Job.status.in_(TERMINAL))
        .order_by(Print.id)
        .limit(BATCH)
    )


def _fetch_images(session: Session, job_ids: Sequence[UUID]) -> dict[UUID, Image]:
    """Return the one image of each job that has any."""
    return {image.job_id: image for image in session.scalars(select(Image).where(Image.job_id.in_(job_ids)))}


def _fetch_kept_images(session: Session, made: Sequence[Print]) -> dict[UUID, Image]:
    """Return the best of the earlier rolls of each print that has one."""
    ids = [each.image_id for each in made if each.image_id is not None]
    return {image.id: image for image in session.scalars(select(Image).where(Image.id.in_(ids)))} if ids else {}


def _settle_job(
    made: Print, job: Job, image: Image | None, kept: dict[UUID, Image], spec: CampaignSpec, *, may_roll: bool
) -> dict[str, Any]:
    """Return how a print stands now that its job has ended."""
    row: dict[str, Any] = {"id": made.id, "held": Decimal(0)}
    if image is not None and was_delivered(image):
        row["amount"] = made.amount + image.amount
    if made.status is PrintStatus.ERASED:
        return row
    before = kept.get(made.image_id) if made.image_id is not None else None
    rolls_left = may_roll and made.rerolls < spec.max_rerolls
    if job.status is JobStatus.SUCCEEDED and image is not None and not is_stand_in(image):
        best = _choose_better(before, image)
        rolls = rolls_left and _is_off_palette(best, spec)
        return row | {"image_id": best.id} | (_reroll_print(made) if rolls else {"status": PrintStatus.PRINTED})
    if before is not None:  # a better roll was wanted, and did not come
        return row | {"status": PrintStatus.PRINTED}
    is_blocked = job.error_code == BLOCKED or job.status is JobStatus.SUCCEEDED
    if is_blocked and rolls_left and spec.on_block is OnBlock.REROLL:
        return row | _reroll_print(made)
    return row | (_block_print(image) if is_blocked else _fail_print(job))


def _block_print(image: Image | None) -> dict[str, Any]:
    return {
        "status": PrintStatus.BLOCKED,
        "image_id": image.id if image is not None else None,  # a reviewer may yet let it out
        "error_code": BLOCKED,
        "error_message": "The safety check blocked the image.",
        "error_retryable": False,
    }


def _fail_print(job: Job) -> dict[str, Any]:
    return {
        "status": PrintStatus.CANCELED if job.status is JobStatus.CANCELED else PrintStatus.FAILED,
        "error_code": job.error_code,
        "error_message": job.error_message,
        "error_retryable": job.error_retryable,
    }


def _reroll_print(made: Print) -> dict[str, Any]:
    return {"status": PrintStatus.WAITING, "rerolls": made.rerolls + 1}


def _choose_better(before: Image | None, image: Image) -> Image:
    if before is None or (image.palette_score or 0.0) > (before.palette_score or 0.0):
        return image
    return before


def _is_off_palette(image: Image, spec: CampaignSpec) -> bool:
    return (
        spec.palette_floor is not None and image.palette_score is not None and image.palette_score < spec.palette_floor
    )
