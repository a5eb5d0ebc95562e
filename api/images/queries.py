"""The images that an owner may see; another owner's are as good as missing."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.web.validation import not_found
from common.tables import Image, Job


def find_image(session: Session, owner: str, image_id: UUID) -> Image:
    """Return an image of *owner*; raise RefusedError with ``not_found``."""
    image = session.scalar(select(Image).where(Image.id == image_id, Image.owner == owner))
    if image is None:
        raise not_found()
    return image


def images_of(session: Session, jobs: Sequence[Job]) -> dict[UUID, list[Image]]:
    """Return the images of *jobs* by job, in their order."""
    images: dict[UUID, list[Image]] = defaultdict(list)
    ended = [job.id for job in jobs if job.status.is_terminal]
    if ended:
        for image in session.scalars(select(Image).where(Image.job_id.in_(ended)).order_by(Image.position)):
            images[image.job_id].append(image)
    return images
