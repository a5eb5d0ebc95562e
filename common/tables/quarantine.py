"""The tables of safety: pictures kept for review, what reviewers did, and how often prompts were refused."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from common.clock import utcnow
from common.db.types import Base, stored_enum
from common.ids import create_id
from common.tables.images import Image


class QuarantineState(StrEnum):
    """Where a picture that was kept for review stands; all but the first are final."""

    WAITING = "waiting"  # for a reviewer, until it expires
    RELEASED = "released"  # a reviewer let it out: the image is delivered
    CONFIRMED = "confirmed"  # a reviewer said that the block was right: the image is blocked
    EXPIRED = "expired"  # nobody said anything in time: the image is blocked


class ReviewAct(StrEnum):
    """What was done to a picture in quarantine."""

    PREVIEWED = "previewed"  # somebody looked at it, blurred
    RELEASED = "released"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"


class QuarantinedImage(Base):
    """A blocked image whose files are kept, encrypted; its objects are deleted once it has left its first state."""

    __tablename__ = "quarantined_images"
    __table_args__ = (Index("ix_quarantined_images_state", "state", "expires_at"),)

    image_id: Mapped[UUID] = mapped_column(ForeignKey(Image.id), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[QuarantineState] = mapped_column(stored_enum(QuarantineState), default=QuarantineState.WAITING)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    collected_at: Mapped[datetime | None]  # when its sealed objects were deleted


class Review(Base):
    """One act of a reviewer, or of the clerk; written with the act itself and never changed."""

    __tablename__ = "reviews"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)
    image_id: Mapped[UUID] = mapped_column(ForeignKey(QuarantinedImage.image_id), index=True)
    act: Mapped[ReviewAct] = mapped_column(stored_enum(ReviewAct))
    key_id: Mapped[UUID | None]  # None: the clerk
    note: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class PromptRefusals(Base):
    """How often the prompts of one owner were refused on one day, by category; never what they said."""

    __tablename__ = "prompt_refusals"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)  # UTC, YYYY-MM-DD
    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    category: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int]
