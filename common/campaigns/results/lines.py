"""Result lines: one for each image of a campaign, read in short transactions so that a slow client holds no locks.

Each recipient of a list that counts has a line for every index, whether it has been printed, ordered or not yet begun.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, select, tuple_, union_all
from sqlalchemy.orm import Session

from common.campaigns.spec import CampaignSpec
from common.db.engine import Database
from common.images.served_files import PublishedFile, find_published_file
from common.states.campaigns import ListStatus, PrintStatus
from common.states.jobs import ImageStatus
from common.tables import Campaign, Image, Print, Recipient, RecipientList

BATCH = 500
"""Recipients that are read at once: few enough to hold, enough that the reading costs little."""


class LineStatus(StrEnum):
    """What a line says of a picture."""

    UNAPPROVED = "unapproved"  # its rows were appended and nobody has approved them yet
    WAITING = "waiting"
    ORDERED = "ordered"
    PRINTED = "printed"
    BLURRED = "blurred"  # printed, and blurred by the safety policy
    BLOCKED = "blocked"
    FAILED = "failed"
    CANCELED = "canceled"
    ERASED = "erased"


class PictureSource(StrEnum):
    """Whose picture a line shows."""

    OWN = "own"
    SHARED = "shared"  # printed once for all whose request was the same
    FALLBACK = "fallback"  # stands in for one that was blocked


class Position(NamedTuple):
    """A row of a campaign: by this its rows are ordered."""

    list_number: int
    row: int


START_POSITION = Position(0, -1)


@dataclass(frozen=True)
class Line:
    """One picture of one recipient: the rows behind it, and what they come to."""

    recipient: Recipient
    index: int
    made: Print | None
    image: Image | None
    is_approved: bool

    @property
    def status(self) -> LineStatus:
        """Return what became of it."""
        if self.recipient.erased_at is not None:
            return LineStatus.ERASED
        if self.made is None:
            return LineStatus.WAITING if self.is_approved else LineStatus.UNAPPROVED
        if self.image is not None and self.made.status.is_over:
            if self.image.status.is_readable and not self.image.is_fallback:
                return LineStatus.BLURRED if self.image.status is ImageStatus.BLURRED else LineStatus.PRINTED
            if self.image.status is ImageStatus.ERASED:
                return LineStatus.ERASED
        return LineStatus(self.made.status)

    @property
    def picture(self) -> PictureSource | None:
        """Return whose picture there is to see; None if there is none."""
        if self.status in (LineStatus.PRINTED, LineStatus.BLURRED):
            return (
                PictureSource.OWN if self.made is not None and self.made.original_id is None else PictureSource.SHARED
            )
        is_replaced = self.image is not None and self.image.is_fallback and self.image.status.is_readable
        return PictureSource.FALLBACK if self.status is LineStatus.BLOCKED and is_replaced else None

    @property
    def file(self) -> PublishedFile | None:
        """Return the file of that picture."""
        return None if self.picture is None or self.image is None else find_published_file(self.image)

    @property
    def thumbnail(self) -> PublishedFile | None:
        """Return the file of its thumbnail."""
        return None if self.picture is None or self.image is None else find_published_file(self.image, thumbnail=True)

    @property
    def may_come(self) -> bool:
        """Return whether there is a picture, or one may be there later without anybody's doing."""
        return self.picture is not None or self.status in (LineStatus.WAITING, LineStatus.ORDERED)

    @property
    def seed(self) -> int | None:
        """Return the seed of its picture; before there is one, that with which it will be tried first."""
        if self.image is not None:
            return self.image.seed
        return self.made.seed if self.made is not None else None

    @property
    def amount(self) -> Decimal:
        """Return what it cost the campaign: nothing where another line bears the cost."""
        return self.made.amount if self.made is not None else Decimal(0)


def iterate_lines(database: Database, campaign: Campaign, after: Position = START_POSITION) -> Iterator[Line]:
    """Yield the lines of *campaign* in the order of its lists, beginning after the row *after*.

    No transaction is open while the caller works with a line.
    """
    while True:
        with database.reading() as session:
            rows = _select_rows(session, campaign, after, BATCH)
            lines = build_lines(session, campaign, rows)
        yield from lines
        if len(rows) < BATCH:
            return
        after = Position(rows[-1][0].list_number, rows[-1][0].row)


def count_rows(session: Session, campaign: Campaign) -> int:
    """Return how many recipients *campaign* has."""
    return session.scalar(select(func.count()).select_from(_select_recipients(campaign).subquery())) or 0


def fetch_lines(session: Session, campaign: Campaign, start: int, most: int) -> list[Line]:
    """Return at most *most* lines of *campaign*, beginning with the line *start* from 0."""
    each = CampaignSpec.from_row(campaign.spec).images_per_recipient
    skipped, within = divmod(start, each)
    query = _select_recipients(campaign).order_by(Recipient.list_number, Recipient.row)
    rows = session.execute(query.offset(skipped).limit(-(-(within + most) // each)))
    return build_lines(session, campaign, [(row[0], row[1]) for row in rows])[within : within + most]


def list_lines(
    session: Session, campaign: Campaign, *, after: UUID | None, limit: int
) -> tuple[list[Line], UUID | None]:
    """Return the lines of *limit* recipients after the one with the id *after*, and whom the next page is after."""
    last = None if after is None else session.get(Recipient, after)
    start = START_POSITION if last is None else Position(last.list_number, last.row)
    rows = _select_rows(session, campaign, start, limit + 1)
    return build_lines(session, campaign, rows[:limit]), rows[limit - 1][0].id if len(rows) > limit else None


def list_arm_images(session: Session, campaign: Campaign, arms: Sequence[str], most: int) -> dict[str, list[Image]]:
    """Return some pictures of each arm, the first that were printed; each arm's in the order of its prints."""
    printed = (Print.campaign_id == campaign.id, Print.status == PrintStatus.PRINTED, Print.original_id.is_(None))
    chosen = [
        select(select(Print.id, Print.arm).where(*printed, Print.arm == name).order_by(Print.id).limit(most).subquery())
        for name in arms
    ]
    found: dict[str, list[Image]] = {name: [] for name in arms}
    first = union_all(*chosen).subquery()
    query = select(first.c.arm, Image).join(Print, Print.id == first.c.id).join(Image, Image.id == Print.image_id)
    for name, image in session.execute(query.order_by(Print.id)):
        found[name].append(image)
    return found


def find_line(session: Session, campaign: Campaign, recipient_pk: UUID, index: int) -> Line | None:
    """Return one line of *campaign*; None if there is none such."""
    row = session.execute(_select_recipients(campaign).where(Recipient.id == recipient_pk)).one_or_none()
    lines = [] if row is None else build_lines(session, campaign, [(row[0], row[1])])
    return next((line for line in lines if line.index == index), None)


def build_lines(session: Session, campaign: Campaign, rows: Sequence[tuple[Recipient, bool]]) -> list[Line]:
    """Return the lines of some recipients, each given with whether its list is approved."""
    spec = CampaignSpec.from_row(campaign.spec)
    ids = [recipient.id for recipient, _ in rows]
    prints = {
        (made.recipient_pk, made.index): made
        for made in session.scalars(select(Print).where(Print.recipient_pk.in_(ids)))
    }
    image_ids = {made.image_id for made in prints.values() if made.image_id is not None}
    images = {image.id: image for image in session.scalars(select(Image).where(Image.id.in_(image_ids)))}
    lines = []
    for recipient, is_approved in rows:
        for index in range(spec.images_per_recipient):
            made = prints.get((recipient.id, index))
            image = images.get(made.image_id) if made is not None and made.image_id is not None else None
            lines.append(Line(recipient, index, made, image, is_approved))
    return lines


def _select_rows(session: Session, campaign: Campaign, after: Position, most: int) -> list[tuple[Recipient, bool]]:
    place = tuple_(Recipient.list_number, Recipient.row)
    query = _select_recipients(campaign).where(place > tuple_(*after)).order_by(Recipient.list_number, Recipient.row)
    return [(row[0], row[1]) for row in session.execute(query.limit(most))]


def _select_recipients(campaign: Campaign) -> Select[Recipient, bool]:
    return (
        select(Recipient, RecipientList.approved_at.is_not(None).label("is_approved"))
        .join(
            RecipientList,
            (RecipientList.campaign_id == Recipient.campaign_id) & (RecipientList.number == Recipient.list_number),
        )
        .where(Recipient.campaign_id == campaign.id, RecipientList.status == ListStatus.CURRENT)
    )
