"""The tables of safety: pictures kept for review, what reviewers did, and how often prompts were refused."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from common.clock import utcnow
from common.db.ids import create_id
from common.db.types import Base, stored_enum
from common.tables.images import Image


class QuarantineState(StrEnum):
    """The state of an image that was kept for review; all but the first are final."""

    WAITING = "waiting"  # for a reviewer, until it expires
    RELEASED = "released"  # by a reviewer: the image is delivered
    CONFIRMED = "confirmed"  # by a reviewer, who agreed with the block: the image stays blocked
    EXPIRED = "expired"  # not reviewed in time: the image stays blocked


class ReviewAct(StrEnum):
    """What was done with an image in quarantine."""

    PREVIEWED = "previewed"  # a reviewer looked at its preview
    RELEASED = "released"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"


class QuarantinedImage(Base):
    """A blocked image whose files are kept, encrypted; they are deleted once it leaves the state `waiting`."""

    __tablename__ = "quarantined_images"
    __table_args__ = (
        Index("ix_quarantined_images_state", "state", "expires_at"),
        Index("ix_quarantined_images_list", "state", "image_id"),
        Index(
            "ix_quarantined_images_uncollected",
            "image_id",
            postgresql_where=text("collected_at IS NULL"),
            sqlite_where=text("collected_at IS NULL"),
        ),
    )

    image_id: Mapped[UUID] = mapped_column(ForeignKey(Image.id), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[QuarantineState] = mapped_column(stored_enum(QuarantineState), default=QuarantineState.WAITING)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    collected_at: Mapped[datetime | None]  # when its encrypted objects were deleted


class Review(Base):
    """One action of a reviewer or of the clerk; written in its transaction and never changed."""

    __tablename__ = "reviews"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)
    image_id: Mapped[UUID] = mapped_column(ForeignKey(QuarantinedImage.image_id), index=True)
    act: Mapped[ReviewAct] = mapped_column(stored_enum(ReviewAct))
    key_id: Mapped[UUID | None]  # None: the clerk
    note: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class PromptRefusals(Base):
    """How often prompts of one owner were refused on one day, by category; never their text."""

    __tablename__ = "prompt_refusals"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)  # UTC, YYYY-MM-DD
    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    category: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int]
