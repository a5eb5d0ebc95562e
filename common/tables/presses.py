"""The tables of presses, their meter readings, the models that they offer, and the tokenizers of these."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from common.clock import utcnow
from common.db.types import Base


class Model(Base):
    """A model that a press has offered: its card, as the api returns it."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    card: Mapped[dict[str, Any]] = mapped_column(JSON)
    # For each text encoder its tokenizer's digest and limit. Not in the card, where older versions would refuse it.
    text_encoders: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    position: Mapped[int] = mapped_column(default=0)
    registered_at: Mapped[datetime] = mapped_column(default=utcnow)


class Tokenizer(Base):
    """The tokenizer of a text encoder, by which prompts are counted; written once, never changed."""

    __tablename__ = "tokenizers"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256 of the JSON, in hexadecimal digits
    content: Mapped[bytes] = mapped_column(LargeBinary)  # the JSON of the library `tokenizers`, compressed by zlib


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
    energy_joules: Mapped[float | None]  # used since its start; None if it is not measured
    fault: Mapped[str | None] = mapped_column(String(64))  # code of the error because of which it takes no jobs now
    # Model → batch size → image steps per second, up to the largest batch that it uses; at the default image size.
    rates: Mapped[dict[str, dict[str, float]] | None] = mapped_column(JSON(none_as_null=True))


class PressReading(Base):
    """The totals of a press's meter at its last heartbeat of an hour; written once, never changed."""

    __tablename__ = "press_readings"

    press_id: Mapped[UUID] = mapped_column(ForeignKey("presses.id"), primary_key=True)
    read_at: Mapped[datetime] = mapped_column(primary_key=True)
    busy_seconds: Mapped[float]
    cpu_seconds: Mapped[float]
    overhead: Mapped[dict[str, float]] = mapped_column(JSON)
    energy_joules: Mapped[float | None]
