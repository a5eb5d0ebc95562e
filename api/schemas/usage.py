"""The JSON of usage."""

from typing import Literal

from pydantic import Field

from api.web.output import Amount, Output, Time
from api.web.validation import Moment, Query
from common.usage.usage import GroupBy


class SpanQuery(Query):
    """Which span of time to account for."""

    since: Moment | None = Field(
        None, alias="from", description="Attempts that began at this time or later; by default 30 days ago."
    )
    until: Moment | None = Field(None, alias="to", description="Attempts that began before this time; by default now.")


class UsageQuery(SpanQuery):
    """Which usage to show."""

    group_by: GroupBy | None = Field(None, description="Tell the usage apart by this.")


class Money(Output):
    """An amount in one currency."""

    amount: Amount
    currency: str


class UsageRow(Output):
    """What a group of jobs used; times are accelerator seconds."""

    group: str | None = Field(description="The value of `group_by`; null for the total.")
    jobs: int = Field(description="Jobs that a press has begun with.")
    attempts: int
    images: int = Field(description="Images delivered.")
    gpu_seconds: float = Field(description="All that was spent: delivered + running + waste.")
    delivered_gpu_seconds: float
    running_gpu_seconds: float = Field(description="Of attempts that have not ended yet.")
    waste_gpu_seconds: dict[str, float] = Field(description="Spent on what was not delivered, by reason; not charged.")
    charged: list[Money]


class UsageReport(Output):
    """What was used in a span of time."""

    object: Literal["usage"] = "usage"
    since: Time = Field(serialization_alias="from")
    until: Time = Field(serialization_alias="to")
    group_by: GroupBy | None
    data: list[UsageRow]
    total: UsageRow
