"""The tables of webhook endpoints, messages and deliveries."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from common.clock import utcnow
from common.db.ids import create_id
from common.db.types import Base, stored_enum
from common.states.webhooks import EndpointStatus, MessageState

DIRECT_URL = ""
"""The URL of an owner's one endpoint for jobs that name a URL of their own."""


class WebhookEndpoint(Base):
    """A webhook endpoint of an owner; its secrets are encrypted, not hashed, because signing needs them."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (UniqueConstraint("owner", "url"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)
    owner: Mapped[str] = mapped_column(String(64))
    url: Mapped[str] = mapped_column(String(2048))
    description: Mapped[str] = mapped_column(String(512), default="")
    events: Mapped[list[str]] = mapped_column(JSON)
    status: Mapped[EndpointStatus] = mapped_column(stored_enum(EndpointStatus), default=EndpointStatus.ENABLED)
    disabled_reason: Mapped[str | None] = mapped_column(String(16))
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    previous_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    failing_since: Mapped[datetime | None]
    resume_at: Mapped[datetime | None]  # nothing is sent earlier: the circuit breaker is open
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class WebhookMessage(Base):
    """One event for one endpoint: the bytes as they are sent at every try, and when the next try is due."""

    __tablename__ = "webhook_messages"
    __table_args__ = (
        Index(
            "ix_webhook_messages_due",
            "next_at",
            postgresql_where=text("state = 'pending'"),
            sqlite_where=text("state = 'pending'"),
        ),
        Index(
            "ix_webhook_messages_destination",
            "destination",
            "next_at",
            postgresql_where=text("state = 'pending'"),
            sqlite_where=text("state = 'pending'"),
        ),
        Index(
            "ix_webhook_messages_lease",
            "lease_until",
            postgresql_where=text("lease_until IS NOT NULL"),
            sqlite_where=text("lease_until IS NOT NULL"),
        ),
        Index("ix_webhook_messages_endpoint", "endpoint_id", "id"),
        Index("ix_webhook_messages_job", "job_id"),
        Index("ix_webhook_messages_created", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)  # the receiver's ``webhook-id``
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    owner: Mapped[str] = mapped_column(String(64))
    url: Mapped[str | None] = mapped_column(String(2048))  # of the job; else the endpoint's applies
    destination: Mapped[str] = mapped_column(String(64))  # limits concurrency: at most two attempts at once
    job_id: Mapped[UUID | None]
    event: Mapped[str] = mapped_column(String(40))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[MessageState] = mapped_column(stored_enum(MessageState), default=MessageState.PENDING)
    next_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]  # while it is being sent
    tries: Mapped[int] = mapped_column(default=0)  # the number of the last attempt, and the fence of its sender
    earlier_tries: Mapped[int] = mapped_column(default=0)  # those before it was last resent on request
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    ended_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One attempt to send a message, and its result."""

    __tablename__ = "webhook_attempts"

    message_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_messages.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    seconds: Mapped[float | None]
    status: Mapped[int | None]  # of HTTP, if there was a response
    error: Mapped[str | None] = mapped_column(String(32))  # a Failure; None if delivered or still running
    response: Mapped[str | None] = mapped_column(Text)  # the start of its body, redacted
