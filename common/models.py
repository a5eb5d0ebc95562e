"""The tables and nothing else."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from common.clock import utcnow
from common.database import Base, stored_enum
from common.ids import new_id
from common.states import ImageStatus, JobStatus, Outcome, Priority, SafetyMode, Verdict


class ApiKey(Base):
    """A key with which an owner signs in; only its digest is kept."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(64))
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    safety: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # stricter than the operator's
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    # How long what came by this key is kept; None: as the settings say.
    image_days: Mapped[int | None]
    asset_days: Mapped[int | None]
    prompt_days: Mapped[int | None]
    webhook_days: Mapped[int | None]


class Model(Base):
    """A model that some press has offered: its card, as the api shows it."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    card: Mapped[dict[str, Any]] = mapped_column(JSON)
    position: Mapped[int] = mapped_column(default=0)
    registered_at: Mapped[datetime] = mapped_column(default=utcnow)


class Press(Base):
    """A worker process with one accelerator, and how it spent its time."""

    __tablename__ = "presses"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    accelerator: Mapped[str] = mapped_column(String(255))
    models: Mapped[list[str]] = mapped_column(JSON)
    price_per_hour: Mapped[Decimal]
    currency: Mapped[str] = mapped_column(String(3))
    started_at: Mapped[datetime] = mapped_column(default=utcnow)
    heartbeat_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    stopped_at: Mapped[datetime | None]
    busy_seconds: Mapped[float] = mapped_column(default=0.0)  # accelerator seconds, by the press's own clock
    cpu_seconds: Mapped[float] = mapped_column(default=0.0)
    overhead: Mapped[dict[str, float]] = mapped_column(JSON, default=dict)  # name → accelerator seconds
    energy_joules: Mapped[float | None]  # drawn since its start; none where nothing measures it
    # Model → pictures stepped together → steps of pictures a second, up to the batch that it uses; at the default size.
    rates: Mapped[dict[str, dict[str, float]] | None] = mapped_column(JSON(none_as_null=True))


class PressReading(Base):
    """The totals of a press's meter as they stood at its last beat of an hour; written once, never changed."""

    __tablename__ = "press_readings"

    press_id: Mapped[UUID] = mapped_column(ForeignKey("presses.id"), primary_key=True)
    read_at: Mapped[datetime] = mapped_column(primary_key=True)
    busy_seconds: Mapped[float]
    cpu_seconds: Mapped[float]
    overhead: Mapped[dict[str, float]] = mapped_column(JSON)
    energy_joules: Mapped[float | None]


class Job(Base):
    """One order: what was asked, and where it stands. Only ``common.jobs`` writes its status."""

    __tablename__ = "jobs"
    __table_args__ = (
        # The claim reads the head of this index; finished rows are not in it.
        Index(
            "ix_jobs_due",
            "model",
            "priority",
            "fair_tag",
            "id",
            postgresql_where=text("status = 'queued'"),
            sqlite_where=text("status = 'queued'"),
        ),
        Index(
            "ix_jobs_flow",
            "flow",
            "priority",
            "fair_tag",
            postgresql_where=text("status = 'queued'"),
            sqlite_where=text("status = 'queued'"),
        ),
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
        # The failures of the last day, of whatever owner; there are few beside the jobs that succeed.
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

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[UUID | None]
    status: Mapped[JobStatus] = mapped_column(stored_enum(JobStatus), default=JobStatus.QUEUED)
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    annotations: Mapped[dict[str, str]] = mapped_column("metadata", JSON, default=dict)

    model: Mapped[str] = mapped_column(String(64))
    lane: Mapped[str] = mapped_column(String(200))  # what may be stepped together; see common.requests
    priority: Mapped[Priority] = mapped_column(stored_enum(Priority), default=Priority.INTERACTIVE)
    flow: Mapped[str] = mapped_column(String(128))  # who shares fairly with whom: the owner, or one of its campaigns
    fair_tag: Mapped[int] = mapped_column(BigInteger, default=0)  # place in the fair order; see common.claims
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
    palette: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))  # the colours that it is to keep to
    max_amount: Mapped[Decimal | None]  # the most that it may be charged
    webhook_url: Mapped[str | None] = mapped_column(String(2048))
    webhook_events: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))

    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    prompt_erased_at: Mapped[datetime | None]  # its words are gone: both prompts and the metadata


class Attempt(Base):
    """One try at a job: the ledger of what was spent; never deleted while its job exists."""

    __tablename__ = "attempts"
    __table_args__ = (Index("ix_attempts_started", "started_at"),)

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
    collected_at: Mapped[datetime | None]  # when the objects that it left behind were deleted


class Image(Base):
    """One print of a finished job; an object in storage stands behind each readable one."""

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("job_id", "position"),
        Index("ix_images_owner", "owner", "id"),
        # No image that the checker did not let through can be delivered, whatever the code does: unless a reviewer
        # released it, or the operator has switched the check off, and then it says so.
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
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
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
    signed: Mapped[bool | None]  # whether the file holds a signed manifest; None: there is no file, or it is older
    verdict: Mapped[Verdict] = mapped_column(stored_enum(Verdict))
    safety: Mapped[dict[str, Any]] = mapped_column(JSON)  # scores, thresholds, checker and its digest, policy
    safety_mode: Mapped[SafetyMode] = mapped_column(
        stored_enum(SafetyMode), default=SafetyMode.ON, server_default=SafetyMode.ON.value
    )
    released_at: Mapped[datetime | None]  # when a reviewer let it out of quarantine
    gpu_seconds: Mapped[float]
    amount: Mapped[Decimal]  # nothing for a blocked image
    currency: Mapped[str] = mapped_column(String(3))
    overrun_seconds: Mapped[float] = mapped_column(default=0.0)  # what it took beyond the most it may be charged
    colours: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))  # with their shares
    palette_score: Mapped[float | None]  # 0 to 1: how well they keep to the job's palette
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Asset(Base):
    """A picture that an owner has handed in for jobs to start from; always a PNG file that this service has written.

    The row is older than its object and outlives it, so that no object is without one; ``stored_at`` tells whether the
    object is there for jobs to use.
    """

    __tablename__ = "assets"
    __table_args__ = (Index("ix_assets_owner", "owner", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(64))
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    storage_key: Mapped[str] = mapped_column(String(512))
    verdict: Mapped[Verdict | None] = mapped_column(stored_enum(Verdict))  # None until a press has looked at it
    safety: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # as of an image
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    stored_at: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class IdempotencyKey(Base):
    """A request that was answered once and is answered the same way again."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
