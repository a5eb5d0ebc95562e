"""Finds the images of an owner that look like a given one."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from common.images.fingerprint import Fingerprint, list_neighbours
from common.tables import Image
from common.tables.images import Likeness

MOST_COMPARED = 5_000
"""Rows of which a shape is compared at most: prints of one template may share a band by the thousand."""


@dataclass(frozen=True)
class Candidate:
    """A print that a picture may be a copy of, and in how many of 64 bits the two differ."""

    image: Image
    distance: int


def store_fingerprint(image: Image, seen: Fingerprint) -> None:
    """Enter what *image* looks like; it is stored together with it."""
    band0, band1, band2, band3 = seen.bands
    Likeness(
        image=image,
        owner=image.owner,
        shape=seen.shape,
        look=seen.look,
        band0=band0,
        band1=band1,
        band2=band2,
        band3=band3,
    )


def list_similar(session: Session, owner: str, seen: Fingerprint, most: int) -> list[Candidate]:
    """Return the prints of *owner* that look like *seen*, the nearest first, *most* at the most."""
    columns = (Likeness.band0, Likeness.band1, Likeness.band2, Likeness.band3)
    is_close = or_(*(column.in_(list_neighbours(band)) for column, band in zip(columns, seen.bands, strict=True)))
    rows = session.execute(
        select(Likeness.image_id, Likeness.shape, Likeness.look)
        .where(Likeness.owner == owner, is_close)
        .order_by(Likeness.image_id.desc())
        .limit(MOST_COMPARED)
    )
    near = [
        (found.distance(seen), image_id)
        for image_id, found in ((row.image_id, Fingerprint(row.shape, row.look)) for row in rows)
        if found.is_near(seen)
    ]
    nearest = sorted(near)[:most]
    images = {
        image.id: image for image in session.scalars(select(Image).where(Image.id.in_([each for _, each in nearest])))
    }
    return [Candidate(images[image_id], distance) for distance, image_id in nearest]


def delete_fingerprints(session: Session, image_ids: Collection[UUID]) -> None:
    """Forget what these prints looked like."""
    gone = delete(Likeness).where(Likeness.image_id.in_(image_ids))
    session.execute(gone.execution_options(synchronize_session=False))
