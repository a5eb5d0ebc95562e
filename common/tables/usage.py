"""The tables of usage sums: what ended attempts used, by hour and by day."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from common.db.types import Base


class Sums:
    """What is summed; attempts and their time under no currency, images under their own."""

    jobs: Mapped[int]  # attempts that are the first of their job
    attempts: Mapped[int]
    gpu_seconds: Mapped[float]
    images: Mapped[int]  # delivered
    delivered_seconds: Mapped[float]
    overrun_seconds: Mapped[float]
    amount: Mapped[Decimal]


class UsageSum(Sums, Base):
    """What attempts of one owner used that began in the same hour or day, and whose jobs have ended."""

    __tablename__ = "usage_sums"

    unit: Mapped[str] = mapped_column(String(8), primary_key=True)  # a Unit of common.usage.spans
    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    begins_at: Mapped[datetime] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[UUID] = mapped_column(primary_key=True)  # zero for jobs without a key
    priority: Mapped[str] = mapped_column(String(16), primary_key=True)
    status: Mapped[str] = mapped_column(String(16), primary_key=True)
    outcome: Mapped[str] = mapped_column(String(16), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)


class PressUsageSum(Sums, Base):
    """The same for one press, of all owners."""

    __tablename__ = "press_usage_sums"

    unit: Mapped[str] = mapped_column(String(8), primary_key=True)
    begins_at: Mapped[datetime] = mapped_column(primary_key=True)
    press_id: Mapped[UUID] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(String(16), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
