"""The JSON of the press floor."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from api.schemas.usage import Money
from api.web.output import Output, Time
from common.tables.states import Priority


class FloorLane(Output):
    """What a press has in hand of one lane: jobs that may be stepped together."""

    lane: list[str] = Field(description="What tells it from others, in words; the model first.")
    jobs: int
    images: int
    step: int = Field(description="Steps done, of all these jobs together.")
    steps: int


class FloorPress(Output):
    """A press that is at work."""

    id: UUID
    host: str
    accelerator: str
    models: list[str]
    started_at: Time
    utilisation: float | None = Field(description="Of the last hour, from 0 to 1.")
    per_hour: Money = Field(description="What an hour of it costs.")
    printing: list[FloorLane]


class FloorQueue(Output):
    """What waits of one lane."""

    lane: list[str] = Field(description="What tells it from others, in words; the model first.")
    priority: Priority
    jobs: int
    images: int
    oldest_at: Time


class FloorFailure(Output):
    """A job of the last day that failed."""

    job_id: UUID
    owner: str
    model: str
    code: str
    message: str
    at: Time | None


class Floor(Output):
    """The press floor as it is this moment."""

    object: Literal["floor"] = "floor"
    house: bool = Field(description="Whether this is the whole house; else it is the owner's jobs, and no presses.")
    presses: list[FloorPress]
    running: int = Field(description="Jobs that are being printed.")
    queued: int = Field(description="Jobs that wait.")
    queue: list[FloorQueue] = Field(description="Those that have waited longest first; 40 lanes at most.")
    failures: list[FloorFailure] = Field(description="The newest first; eight at most.")
    images_per_minute: float = Field(description="Of the last ten minutes.")
    images_last_hour: int
    charged_last_hour: list[Money]
    per_hour: list[Money] = Field(description="What an hour of all these presses costs.")
