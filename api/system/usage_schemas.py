"""The JSON of usage."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from api.web.output import Amount, Output, Time
from api.web.validation import Moment, Query
from common.usage.usage import GroupBy


class HouseAccount(Output):
    """How the time of presses was spent; ``gpu_seconds`` are accelerator seconds."""

    up_seconds: float = Field(description="Press-seconds between start and stop; of one that died, to its last beat.")
    busy_gpu_seconds: float = Field(
        description="By the presses' own meters: delivered + running + waste + overhead + carried."
    )
    idle_seconds: float = Field(description="Up and not busy.")
    utilisation: float | None = Field(description="Busy ÷ up; null where nothing was up.")
    delivered_share: float | None = Field(description="Delivered ÷ busy; null where nothing was busy.")
    attempts: int
    images: int = Field(description="Images delivered.")
    delivered_gpu_seconds: float
    running_gpu_seconds: float = Field(description="Of attempts that have not ended yet.")
    waste_gpu_seconds: dict[str, float] = Field(description="Spent on what was not delivered, by reason.")
    overhead_gpu_seconds: dict[str, float] = Field(description="Spent on no job at all, by name.")
    carried_gpu_seconds: float = Field(
        description="Spent in the span on attempts that began before it, less what those that began in it spent after "
        "it; of either sign."
    )
    cpu_seconds: float = Field(description="Processor seconds of the presses; they have no price.")
    energy_joules: float | None = Field(description="Drawn by accelerators that measure it; null where none does.")


class HousePress(HouseAccount):
    """How one press spent its time."""

    id: UUID
    host: str
    accelerator: str
    models: list[str]
    price_per_hour: Amount
    currency: str
    up_amount: Amount = Field(description="The price of the time that it was up.")
    started_at: Time
    heartbeat_at: Time = Field(description="When it was last heard of.")
    stopped_at: Time | None = Field(description="When it said goodbye; null if it runs, or died.")


class HouseMoney(Output):
    """What the span cost and earned in one currency."""

    currency: str
    up_amount: Amount = Field(description="The price of all time that presses were up, idle or not.")
    charged_amount: Amount = Field(description="For the images delivered.")
    images: int = Field(description="Images delivered.")
    amount_per_image: Amount | None = Field(
        description="What an image really cost: up ÷ images; null where none was delivered."
    )


class HouseReport(Output):
    """The house's account of a span of time."""

    object: Literal["house"] = "house"
    since: Time = Field(serialization_alias="from")
    until: Time = Field(serialization_alias="to")
    data: list[HousePress] = Field(description="The presses that were up, the newest first, 100 at most.")
    has_more: bool = Field(description="There were older presses; the totals count them too.")
    total: HouseAccount
    money: list[HouseMoney]


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
