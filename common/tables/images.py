"""The tables of images, uploaded assets and fingerprints."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, backref, mapped_column, relationship

from common.clock import utcnow
from common.db.ids import create_id
from common.db.types import Base, stored_enum
from common.states.jobs import ImageStatus, SafetyMode, Verdict


class Image(Base):
    """One image of a finished job; each readable one has an object in storage."""

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("job_id", "position"),
        Index("ix_images_owner", "owner", "id"),
        # Whatever the code does, an image that the checker did not pass cannot be delivered, unless a reviewer released
        # it, or the operator has switched the check off, which the row then records.
        CheckConstraint(
            "status NOT IN ('delivered', 'blurred') OR verdict IN ('pass', 'review')"
            " OR (verdict = 'block' AND released_at IS NOT NULL)"
            " OR (verdict = 'unchecked' AND safety_mode = 'off')",
            name="delivered_was_checked",
        ),
        CheckConstraint(
            "status <> 'quarantined' OR (verdict = 'block' AND storage_key IS NULL AND released_at IS NULL)",
            name="quarantined_has_no_object",
        ),
        CheckConstraint(
            "status NOT IN ('delivered', 'blurred') OR storage_key IS NOT NULL", name="readable_has_object"
        ),
        Index(
            "ix_images_kept",
            "created_at",
            postgresql_where=text("storage_key IS NOT NULL"),
            sqlite_where=text("storage_key IS NOT NULL"),
        ),
        # For keys with a retention period of their own.
        Index(
            "ix_images_kept_of_owner",
            "owner",
            "created_at",
            postgresql_where=text("storage_key IS NOT NULL"),
            sqlite_where=text("storage_key IS NOT NULL"),
        ),
        Index(
            "ix_images_half_erased",
            "id",
            postgresql_where=text("status = 'erased' AND storage_key IS NOT NULL"),
            sqlite_where=text("status = 'erased' AND storage_key IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"))
    owner: Mapped[str] = mapped_column(String(64))
    attempt: Mapped[int]
    position: Mapped[int]
    status: Mapped[ImageStatus] = mapped_column(stored_enum(ImageStatus))
    seed: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int]
    height: Mapped[int]
    content_type: Mapped[str | None] = mapped_column(String(32))
    bytes: Mapped[int | None]
    sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    storage_key: Mapped[str | None] = mapped_column(String(512))
    thumbnail_key: Mapped[str | None] = mapped_column(String(512))
    signed: Mapped[bool | None]  # whether the file holds a signed manifest; None: it has no file, or an older one
    verdict: Mapped[Verdict] = mapped_column(stored_enum(Verdict))
    safety: Mapped[dict[str, Any]] = mapped_column(JSON)  # scores, thresholds, checker and its digest, policy
    safety_mode: Mapped[SafetyMode] = mapped_column(
        stored_enum(SafetyMode), default=SafetyMode.ON, server_default=SafetyMode.ON.value
    )
    released_at: Mapped[datetime | None]  # when a reviewer released it from quarantine
    gpu_seconds: Mapped[float]
    amount: Mapped[Decimal]  # zero for a blocked image
    currency: Mapped[str] = mapped_column(String(3))
    overrun_seconds: Mapped[float] = mapped_column(default=0.0)  # beyond what may be charged at most
    colours: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))  # with their shares
    palette_score: Mapped[float | None]  # 0 to 1: how well they match the job's palette
    prompt_tokens: Mapped[dict[str, int] | None] = mapped_column(JSON(none_as_null=True))  # read and dropped
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    @property
    def is_fallback(self) -> bool:
        """Return whether this is the fallback image in place of a blocked one; nobody is charged for it."""
        return "fallback_for" in self.safety


class Asset(Base):
    """An image that an owner has uploaded for jobs to start from; always a PNG file that this service has written.

    The row is created before its object and deleted after it, so that every object has one; once ``stored_at`` is set,
    jobs can use the object.
    """

    __tablename__ = "assets"
    __table_args__ = (Index("ix_assets_owner", "owner", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)
    owner: Mapped[str] = mapped_column(String(64))
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    storage_key: Mapped[str] = mapped_column(String(512))
    original: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # what was uploaded, and changed
    verdict: Mapped[Verdict | None] = mapped_column(stored_enum(Verdict))  # None until a press has checked it
    safety: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # as of an image
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    stored_at: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Likeness(Base):
    """The fingerprint of an image; deleted when the image is erased."""

    __tablename__ = "fingerprints"
    __table_args__ = tuple(Index(f"ix_fingerprints_band{band}", "owner", f"band{band}") for band in range(4))

    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id"), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    shape: Mapped[int] = mapped_column(BigInteger)
    look: Mapped[bytes] = mapped_column(LargeBinary)
    band0: Mapped[int]
    band1: Mapped[int]
    band2: Mapped[int]
    band3: Mapped[int]

    image: Mapped[Image] = relationship(backref=backref("likeness", uselist=False))
