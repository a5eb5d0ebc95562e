"""The tables of jobs and their attempts."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from common.clock import utcnow
from common.db.ids import create_id
from common.db.types import Base, stored_enum
from common.states.jobs import JobStatus, Outcome, Priority


def _index_queued_jobs(name: str, *columns: str) -> Index:
    """Return an index of the queued jobs alone: however many have finished, it stays as small as the queue."""
    is_queued = text("status = 'queued'")
    return Index(name, *columns, postgresql_where=is_queued, sqlite_where=is_queued)


class Job(Base):
    """A job: the request and its status. Only ``common.jobs.lifecycle`` writes its status."""

    __tablename__ = "jobs"
    __table_args__ = (
        # A claim reads the heads of the first two, and skips in them what is not due yet; see common.jobs.fair_queue.
        _index_queued_jobs("ix_jobs_model", "model", "priority", "fair_tag", "id", "due_at"),
        _index_queued_jobs("ix_jobs_lane", "lane", "priority", "fair_tag", "id", "due_at"),
        # A new job goes behind the last of its flow, or to the front of the queue.
        _index_queued_jobs("ix_jobs_flow", "flow", "priority", "fair_tag"),
        _index_queued_jobs("ix_jobs_front", "priority", "fair_tag"),
        # The overview counts the oldest.
        _index_queued_jobs("ix_jobs_queued", "id"),
        Index(
            "ix_jobs_lease",
            "lease_until",
            postgresql_where=text("status = 'running'"),
            sqlite_where=text("status = 'running'"),
        ),
        Index(
            "ix_jobs_deadline",
            "deadline_at",
            postgresql_where=text("status IN ('queued', 'running')"),
            sqlite_where=text("status IN ('queued', 'running')"),
        ),
        Index(
            "ix_jobs_worded",
            "finished_at",
            postgresql_where=text("prompt_erased_at IS NULL AND finished_at IS NOT NULL"),
            sqlite_where=text("prompt_erased_at IS NULL AND finished_at IS NOT NULL"),
        ),
        # For keys with a retention period of their own.
        Index(
            "ix_jobs_worded_of_key",
            "key_id",
            "finished_at",
            postgresql_where=text("prompt_erased_at IS NULL AND finished_at IS NOT NULL"),
            sqlite_where=text("prompt_erased_at IS NULL AND finished_at IS NOT NULL"),
        ),
        # For the failures of the last day of all owners, few in comparison with the jobs that succeed.
        Index(
            "ix_jobs_failed",
            "id",
            postgresql_where=text("status = 'failed'"),
            sqlite_where=text("status = 'failed'"),
        ),
        Index("ix_jobs_owner", "owner", "id"),
        Index("ix_jobs_owner_status", "owner", "status", "id"),
        CheckConstraint("attempt >= 0 AND strikes >= 0", name="counts"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=create_id)
    owner: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[UUID | None]
    status: Mapped[JobStatus] = mapped_column(stored_enum(JobStatus), default=JobStatus.QUEUED)
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    annotations: Mapped[dict[str, str]] = mapped_column("metadata", JSON, default=dict)

    model: Mapped[str] = mapped_column(String(64))
    lane: Mapped[str] = mapped_column(String(200))  # a LaneKey; jobs of one lane may share a batch
    priority: Mapped[Priority] = mapped_column(stored_enum(Priority), default=Priority.INTERACTIVE)
    flow: Mapped[str] = mapped_column(String(128))  # the unit of fair sharing: the owner, or one of its campaigns
    fair_tag: Mapped[int] = mapped_column(BigInteger, default=0)  # see common.jobs.fair_queue
    num_images: Mapped[int]
    steps: Mapped[int]

    attempt: Mapped[int] = mapped_column(default=0)  # the fencing token: only grows
    strikes: Mapped[int] = mapped_column(default=0)
    press_id: Mapped[UUID | None] = mapped_column(index=True)
    lease_until: Mapped[datetime | None]
    due_at: Mapped[datetime] = mapped_column(default=utcnow)
    deadline_at: Mapped[datetime | None]
    progress_step: Mapped[int] = mapped_column(default=0)

    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    error_retryable: Mapped[bool | None]

    retry_of: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"))
    campaign_id: Mapped[UUID | None] = mapped_column(index=True)
    recipient_id: Mapped[str | None] = mapped_column(String(255))
    style_version: Mapped[str | None] = mapped_column(String(80))
    palette: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))  # the colours of its images
    max_amount: Mapped[Decimal | None]  # the most that it may be charged
    webhook_url: Mapped[str | None] = mapped_column(String(2048))
    webhook_events: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))

    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    prompt_erased_at: Mapped[datetime | None]  # both prompts and the metadata are erased


class Attempt(Base):
    """One attempt at a job and what it used; never deleted while its job exists."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index("ix_attempts_started", "started_at"),
        Index(
            "ix_attempts_unbooked",
            "started_at",
            postgresql_where=text("NOT is_booked"),
            sqlite_where=text("is_booked = 0"),
        ),
        Index(
            "ix_attempts_uncollected",
            "job_id",
            "number",
            postgresql_where=text("collected_at IS NULL AND outcome <> 'running' AND outcome <> 'succeeded'"),
            sqlite_where=text("collected_at IS NULL AND outcome <> 'running' AND outcome <> 'succeeded'"),
        ),
    )

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    press_id: Mapped[UUID] = mapped_column(ForeignKey("presses.id"), index=True)
    outcome: Mapped[Outcome] = mapped_column(stored_enum(Outcome), default=Outcome.RUNNING)
    error_code: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[datetime] = mapped_column(default=utcnow)
    ended_at: Mapped[datetime | None]
    gpu_seconds: Mapped[float] = mapped_column(default=0.0)
    cpu_seconds: Mapped[float] = mapped_column(default=0.0)
    phases: Mapped[dict[str, float]] = mapped_column(JSON, default=dict)  # encode, denoise, decode → GPU seconds
    collected_at: Mapped[datetime | None]  # when its leftover objects were deleted
    is_booked: Mapped[bool] = mapped_column(default=False, server_default=false())  # to the sums of usage, as it is now
    booked_outcome: Mapped[str | None] = mapped_column(String(16))  # as it was booked last
    booked_seconds: Mapped[float | None]  # likewise
