"""Searches an owner's images with filters, a bounded number of images at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from common.db import pages
from common.db.ids import compute_first_id
from common.db.pages import FoundPage
from common.states.jobs import ImageStatus, Verdict
from common.tables import Campaign, Image, Job


@dataclass(frozen=True)
class ImageFilter:
    """Which prints are looked for; what is None narrows nothing, but erased ones are shown only when asked for."""

    status: ImageStatus | None = None
    verdict: Verdict | None = None
    model: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    job_id: UUID | None = None
    campaign_id: UUID | None = None
    style: str | None = None  # `name` for all its versions, or `name@3`
    palette_from: float | None = None  # the least that their palette score may be


def list_images(
    session: Session, owner: str, wanted: ImageFilter, *, after: UUID | None, limit: int
) -> FoundPage[tuple[Image, Job]]:
    """Return prints of *owner* with their jobs, the newest first, beginning after the image *after*."""
    read = [Image.owner == owner]
    if wanted.job_id is not None:
        read.append(Image.job_id == wanted.job_id)
    since = wanted.since
    if wanted.campaign_id is not None:
        begun = session.scalar(select(Campaign.created_at).where(Campaign.id == wanted.campaign_id))
        since = max(filter(None, (since, begun)), default=None)
    if since is not None:
        read.append(Image.id >= compute_first_id(since))
    if wanted.until is not None:
        read.append(Image.id < compute_first_id(wanted.until))

    def choose(image: type[Image]) -> Select[Image, Job]:
        return select(image, Job).join(Job, Job.id == image.job_id).where(*_build_conditions(image, wanted))

    found = pages.find_page(session, Image.id, read, choose, after=after, limit=limit)
    return FoundPage([(image, job) for image, job in found.rows], found.next_after)


def _build_conditions(image: type[Image], wanted: ImageFilter) -> Iterator[ColumnElement[bool]]:
    """Yield what is asked of each print and no index holds."""
    yield image.status != ImageStatus.ERASED if wanted.status is None else image.status == wanted.status
    for column, value in (
        (image.verdict, wanted.verdict),
        (Job.model, wanted.model),
        (Job.campaign_id, wanted.campaign_id),
    ):
        if value is not None:
            yield column == value
    if wanted.style is not None:
        has_version = "@" in wanted.style
        style = Job.style_version
        yield style == wanted.style if has_version else style.startswith(f"{wanted.style}@", autoescape=True)
    if wanted.palette_from is not None:
        yield image.palette_score >= wanted.palette_from


def list_chosen_images(session: Session, owner: str, ids: Sequence[UUID]) -> list[tuple[Image, Job]]:
    """Return those of the images *ids* that are the owner's, with their jobs, in the order of *ids*."""
    query = select(Image, Job).join(Job, Job.id == Image.job_id).where(Image.owner == owner, Image.id.in_(ids))
    found = {image.id: (image, job) for image, job in session.execute(query)}
    return [found[image_id] for image_id in ids if image_id in found]
