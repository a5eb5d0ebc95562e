"""JSON schemas of usage reports."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from api.web.output import Amount, Output, Time
from api.web.validation import Moment, Query
from common.usage.owner_usage import GroupBy


class OperatorAccount(Output):
    """The time of presses by purpose; ``gpu_seconds`` are accelerator seconds."""

    up_seconds: float = Field(
        description="Press-seconds between start and stop, or the last heartbeat of a press that died."
    )
    busy_gpu_seconds: float = Field(
        description="Busy time by the presses' own meters: delivered + running + waste + overhead + carried."
    )
    idle_seconds: float = Field(description="Time up but not busy.")
    utilisation: float | None = Field(description="Busy ÷ up; null if nothing was up.")
    delivered_share: float | None = Field(description="Delivered ÷ busy; null if nothing was busy.")
    attempts: int
    images: int = Field(description="Number of delivered images.")
    delivered_gpu_seconds: float
    running_gpu_seconds: float = Field(description="Time of attempts that have not ended yet.")
    waste_gpu_seconds: dict[str, float] = Field(description="Time spent on images that were not delivered, by reason.")
    overhead_gpu_seconds: dict[str, float] = Field(description="Time not spent on any job, by name.")
    carried_gpu_seconds: float = Field(
        description="Time spent within the span on attempts that began before it, minus time spent after the span on "
        "attempts that began within it; may be negative."
    )
    cpu_seconds: float = Field(description="CPU seconds of the presses; not charged.")
    energy_joules: float | None = Field(description="Energy used by accelerators that measure it; null if none does.")


class OperatorPress(OperatorAccount):
    """The time of one press by purpose."""

    id: UUID
    host: str
    accelerator: str
    models: list[str]
    price_per_hour: Amount
    currency: str
    up_amount: Amount = Field(description="Price of the time that the press was up.")
    started_at: Time
    heartbeat_at: Time = Field(description="Time of the last heartbeat.")
    stopped_at: Time | None = Field(description="When the press stopped; null if it is running or died.")


class OperatorMoney(Output):
    """The cost and revenue of the span in one currency."""

    currency: str
    up_amount: Amount = Field(description="Price of all press time, idle or not.")
    charged_amount: Amount = Field(description="Amount charged for delivered images.")
    images: int = Field(description="Number of delivered images.")
    amount_per_image: Amount | None = Field(
        description="Actual cost per image: up ÷ images; null if no image was delivered."
    )


class OperatorReport(Output):
    """The operator's usage report for a span of time."""

    object: Literal["operator_report"] = "operator_report"
    since: Time = Field(serialization_alias="from")
    until: Time = Field(serialization_alias="to")
    data: list[OperatorPress] = Field(description="The presses that were up, newest first, up to 100.")
    has_more: bool = Field(description="Whether there were older presses, which the totals include.")
    total: OperatorAccount
    money: list[OperatorMoney]


class SpanQuery(Query):
    """The span of time to report on."""

    since: Moment | None = Field(
        None, alias="from", description="Only attempts started at or after this time. Defaults to 30 days ago."
    )
    until: Moment | None = Field(
        None, alias="to", description="Only attempts started before this time. Defaults to now."
    )


class UsageQuery(SpanQuery):
    """The filters of a usage report."""

    group_by: GroupBy | None = Field(None, description="Group the usage by this property.")


class Money(Output):
    """An amount in one currency."""

    amount: Amount
    currency: str


class UsageRow(Output):
    """The usage of a group of jobs; times are accelerator seconds."""

    group: str | None = Field(description="The value of `group_by`; null for the total.")
    jobs: int = Field(description="Number of jobs whose first attempt started within the span.")
    attempts: int
    images: int = Field(description="Number of delivered images.")
    gpu_seconds: float = Field(description="Total time: delivered + running + waste.")
    delivered_gpu_seconds: float
    running_gpu_seconds: float = Field(description="Time of attempts that have not ended yet.")
    waste_gpu_seconds: dict[str, float] = Field(
        description="Time spent on images that were not delivered, by reason; not charged."
    )
    charged: list[Money]


class UsageReport(Output):
    """The usage report for a span of time."""

    object: Literal["usage"] = "usage"
    since: Time = Field(serialization_alias="from")
    until: Time = Field(serialization_alias="to")
    group_by: GroupBy | None
    data: list[UsageRow]
    total: UsageRow
