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
from common.db.types import Base, stored_enum
from common.ids import create_id
from common.tables.campaign_states import CampaignStatus, ListStatus, PrintStatus
from common.tables.states import Priority


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
    wish: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # as it was asked for, metadata included
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)  # a CampaignSpec, made of the wish
    salt: Mapped[bytes] = mapped_column(LargeBinary)  # keys the arms and seeds
    digest: Mapped[str | None] = mapped_column(String(64))  # of all that would be printed as it stands
    priority: Mapped[Priority] = mapped_column(stored_enum(Priority), default=Priority.BULK)

    budget: Mapped[Decimal]
    currency: Mapped[str] = mapped_column(String(3))
    held: Mapped[Decimal] = mapped_column(default=Decimal(0))  # for prints that are ordered
    spent: Mapped[Decimal] = mapped_column(default=Decimal(0))  # on prints that were made
    reservation: Mapped[Decimal | None]  # held for one print, and the most it is charged
    quote: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # what the proofs tell of the whole

    start_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    webhook_url: Mapped[str | None] = mapped_column(String(2048))
    webhook_events: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    told_at: Mapped[datetime | None]  # when `campaign.progress` was last published
    told_share: Mapped[float] = mapped_column(default=0.0)  # how much of it was done by then
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    link_version: Mapped[int] = mapped_column(default=0)  # of its public links; each making has its own
    has_links: Mapped[bool] = mapped_column(default=False)  # whether those of this version lead anywhere
    deleted_at: Mapped[datetime | None]  # nobody sees it any more; the clerk deletes its rows and then itself


class RecipientList(Base):
    """Rows uploaded together; those appended after an approval need one of their own."""

    __tablename__ = "recipient_lists"

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[ListStatus] = mapped_column(stored_enum(ListStatus), default=ListStatus.LOADING)
    columns: Mapped[list[str]] = mapped_column(JSON, default=list)  # as the file has them, in its order
    digest: Mapped[str | None] = mapped_column(String(64))  # of its rows, once they are all there
    accepted: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    fed: Mapped[int] = mapped_column(default=0)  # the last row whose prints are wanted; rows are fed in order
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    approved_at: Mapped[datetime | None]
    approved_by: Mapped[UUID | None]  # a key
    approved_digest: Mapped[str | None] = mapped_column(String(64))  # the campaign's, as it was named


class Recipient(Base):
    """One row of a list: who, and the values that fill the template in."""

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
    recipient_id: Mapped[str] = mapped_column(String(255))  # as it was given; else the row's number
    key: Mapped[str] = mapped_column(String(255))  # the same, folded: by this duplicates are found
    fields: Mapped[dict[str, str]] = mapped_column("values", JSON)
    arm: Mapped[str] = mapped_column(String(64))
    erased_at: Mapped[datetime | None]


class RejectedRow(Base):
    """A row that cannot be printed, as it was uploaded, and why."""

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
    """The one picture of a recipient and an index: wanted, ordered, made; or the same as somebody else's."""

    __tablename__ = "prints"
    __table_args__ = (
        UniqueConstraint("recipient_pk", "index"),
        # What is asked twice is printed once: only the first print of a digest is made.
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
    original_id: Mapped[UUID | None] = mapped_column(ForeignKey("prints.id"))  # the print that this one is the same as
    status: Mapped[PrintStatus] = mapped_column(stored_enum(PrintStatus), default=PrintStatus.WAITING)
    rerolls: Mapped[int] = mapped_column(default=0)
    job_id: Mapped[UUID | None]  # the last job made for it
    image_id: Mapped[UUID | None]  # what came of it
    held: Mapped[Decimal] = mapped_column(default=Decimal(0))
    amount: Mapped[Decimal] = mapped_column(default=Decimal(0))  # what it cost the campaign; nothing for a copy
    is_proof: Mapped[bool] = mapped_column(default=False)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    error_retryable: Mapped[bool | None]
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)
