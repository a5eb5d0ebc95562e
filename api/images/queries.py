"""Query images by owner; images of other owners are reported as missing."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.web.validation import refuse_not_found
from common.tables import Image, Job


def load_image(session: Session, owner: str, image_id: UUID) -> Image:
    """Return an image of *owner*; raise RefusedError with ``not_found``."""
    image = session.scalar(select(Image).where(Image.id == image_id, Image.owner == owner))
    if image is None:
        raise refuse_not_found()
    return image


def list_images_by_job(session: Session, jobs: Sequence[Job]) -> dict[UUID, list[Image]]:
    """Return the images of *jobs* grouped by job, in order."""
    images: dict[UUID, list[Image]] = defaultdict(list)
    ended = [job.id for job in jobs if job.status.is_terminal]
    if ended:
        for image in session.scalars(select(Image).where(Image.job_id.in_(ended)).order_by(Image.position)):
            images[image.job_id].append(image)
    return images
