"""The tables of styles and campaigns."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from common.clock import utcnow
from common.db.ids import create_id
from common.db.types import Base, stored_enum
from common.states.campaigns import CampaignStatus, ListStatus, PrintStatus
from common.states.jobs import Priority


class Style(Base):
    """One version of a brand preset; written once, never changed."""

    __tablename__ = "styles"
    __table_args__ = (UniqueConstraint("owner", "name", "version"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)
    owner: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Campaign(Base):
    """One template for many recipients under one budget. Only ``common.campaigns.status`` writes its status."""

    __tablename__ = "campaigns"
    __table_args__ = (
        Index("ix_campaigns_owner", "owner", "id"),
        Index("ix_campaigns_status", "status", "start_at"),
        CheckConstraint("held >= 0 AND spent >= 0", name="sums"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)
    owner: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[UUID | None]
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[CampaignStatus] = mapped_column(stored_enum(CampaignStatus), default=CampaignStatus.DRAFT)
    held_reason: Mapped[str | None] = mapped_column(String(64))  # of status `held`
    body: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # the request body, metadata included
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)  # a CampaignSpec, built from the request body
    safety: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # strictest of all keys that acted
    salt: Mapped[bytes] = mapped_column(LargeBinary)  # keys the arms and seeds
    digest: Mapped[str | None] = mapped_column(String(64))  # of everything that would be printed now
    priority: Mapped[Priority] = mapped_column(stored_enum(Priority), default=Priority.BULK)

    budget: Mapped[Decimal]
    currency: Mapped[str] = mapped_column(String(3))
    held: Mapped[Decimal] = mapped_column(default=Decimal(0))  # for prints with open jobs
    spent: Mapped[Decimal] = mapped_column(default=Decimal(0))  # on delivered images
    reservation: Mapped[Decimal | None]  # held for one print, and the most it is charged
    quote: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # estimated from the proofs

    start_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    webhook_url: Mapped[str | None] = mapped_column(String(2048))
    webhook_events: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    told_at: Mapped[datetime | None]  # when `campaign.progress` was last published
    told_share: Mapped[float] = mapped_column(default=0.0)  # the share that was done by then
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    link_version: Mapped[int] = mapped_column(default=0)  # of its public links; grows each time they are created
    has_links: Mapped[bool] = mapped_column(default=False)  # whether those of this version are valid
    deleted_at: Mapped[datetime | None]  # hidden from everybody; the clerk deletes its rows, then the campaign


class RecipientList(Base):
    """Rows uploaded together; those appended after an approval need one of their own."""

    __tablename__ = "recipient_lists"

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[ListStatus] = mapped_column(stored_enum(ListStatus), default=ListStatus.LOADING)
    columns: Mapped[list[str]] = mapped_column(JSON, default=list)  # of the file, in its order
    id_column: Mapped[str | None] = mapped_column(String(128))  # one of them; None if the rows' numbers are the ids
    reading: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # how the file was read
    # How much of the rows' prompts the model reads; None if that was not known when they were checked.
    prompt_lengths: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    digest: Mapped[str | None] = mapped_column(String(64))  # of its rows, once the list is complete
    accepted: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    fed: Mapped[int] = mapped_column(default=0)  # the last row whose prints were created; rows are used in order
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    approved_at: Mapped[datetime | None]
    approved_by: Mapped[UUID | None]  # a key
    approved_digest: Mapped[str | None] = mapped_column(String(64))  # the campaign's, as it was confirmed


class Recipient(Base):
    """One row of a list: a recipient and the values for the template."""

    __tablename__ = "recipients"
    __table_args__ = (
        ForeignKeyConstraint(
            ["campaign_id", "list_number"],
            ["recipient_lists.campaign_id", "recipient_lists.number"],
            ondelete="CASCADE",
        ),
        UniqueConstraint("campaign_id", "list_number", "row"),
        UniqueConstraint("campaign_id", "list_number", "key"),
        Index("ix_recipients_key", "campaign_id", "key"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)
    campaign_id: Mapped[UUID]
    list_number: Mapped[int]
    row: Mapped[int]  # in the file; the first row of values is 1
    recipient_id: Mapped[str] = mapped_column(String(255))  # as uploaded; else the row's number
    key: Mapped[str] = mapped_column(String(255))  # the same, normalised, to find duplicates
    fields: Mapped[dict[str, str]] = mapped_column("values", JSON)
    arm: Mapped[str] = mapped_column(String(64))
    erased_at: Mapped[datetime | None]


class RejectedRow(Base):
    """A row that cannot be printed, as it was uploaded, with its errors."""

    __tablename__ = "rejected_rows"
    __table_args__ = (
        ForeignKeyConstraint(
            ["campaign_id", "list_number"],
            ["recipient_lists.campaign_id", "recipient_lists.number"],
            ondelete="CASCADE",
        ),
    )

    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    list_number: Mapped[int] = mapped_column(primary_key=True)
    row: Mapped[int] = mapped_column(primary_key=True)
    fields: Mapped[list[str]] = mapped_column("values", JSON)  # in the order of the list's columns
    errors: Mapped[list[dict[str, str]]] = mapped_column(JSON)  # code, column, detail


class Print(Base):
    """One image for a recipient: its own, or a copy of the identical print of another recipient."""

    __tablename__ = "prints"
    __table_args__ = (
        UniqueConstraint("recipient_pk", "index"),
        # Identical requests are printed once: only the first print of a digest is an original.
        Index(
            "uq_prints_digest",
            "campaign_id",
            "digest",
            unique=True,
            postgresql_where=text("original_id IS NULL AND digest IS NOT NULL"),
            sqlite_where=text("original_id IS NULL AND digest IS NOT NULL"),
        ),
        Index("ix_prints_status", "campaign_id", "status", "id"),
        Index("ix_prints_original", "original_id"),
        Index("ix_prints_job", "job_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"))
    recipient_pk: Mapped[UUID] = mapped_column(ForeignKey("recipients.id", ondelete="CASCADE"))
    index: Mapped[int]
    arm: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str | None] = mapped_column(String(64))  # of the rendered request without its seed; see seed rules
    seed: Mapped[int | None] = mapped_column(BigInteger)
    original_id: Mapped[UUID | None] = mapped_column(ForeignKey("prints.id"))  # the identical print; this is a copy
    status: Mapped[PrintStatus] = mapped_column(stored_enum(PrintStatus), default=PrintStatus.WAITING)
    rerolls: Mapped[int] = mapped_column(default=0)
    job_id: Mapped[UUID | None]  # the last job made for it
    image_id: Mapped[UUID | None]  # its best image so far
    held: Mapped[Decimal] = mapped_column(default=Decimal(0))
    amount: Mapped[Decimal] = mapped_column(default=Decimal(0))  # what it cost the campaign; zero for a copy
    is_proof: Mapped[bool] = mapped_column(default=False)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    error_retryable: Mapped[bool | None]
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)
